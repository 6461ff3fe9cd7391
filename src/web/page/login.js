// Who may see the page: the form that asks for user and password.

import { el, say } from "./dom.js";
import { post } from "./net.js";

/** `entered()` is called once access was given. */
export function loginView(entered) {
  const user = el("input", { name: "user", autocomplete: "username", placeholder: "none, with a token as the password", autocapitalize: "none", spellcheck: "false" });
  const password = el("input", { name: "password", type: "password", autocomplete: "current-password", required: true });
  const said = el("p", { class: "said", role: "alert" });
  const field = (words, input) => el("label", { class: "field" }, el("span", { text: words }), input);
  const send = async (event) => {
    event.preventDefault();
    try {
      await post("/api/login", { user: user.value, password: password.value });
      password.value = "";
      say(said, "");
      entered();
    } catch (error) {
      say(said, error.status === 401 ? "User and password do not fit." : error.message);
      password.select();
    }
  };
  const enter = el("button", { class: "main", text: "Log in" });
  return el("form", { class: "login", onsubmit: send }, el("h2", { text: "Log in" }), field("User", user), field("Password", password), enter, said);
}
