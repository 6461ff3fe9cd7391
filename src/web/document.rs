//! What the OpenAPI document says of all operations alike: who may, and what goes wrong.

use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, Ref, RefOr,
    ResponseBuilder, SecurityRequirement,
};

const DESCRIPTION: &str = "What seewhen's page is made of. Times are Unix seconds. Where the \
configuration has a token or a user, all but /healthz, /readyz, /api/session, /api/login and /api/logout \
need the one as a bearer token, or a session that /api/login begins.";

/// What somebody gets who is not let in.
const GUARDED: [(&str, &str); 2] = [
    ("401", "Neither the token nor a session"),
    ("429", "Too many wrong tokens, or too much at once; see Retry-After"),
];
/// What any request may get.
const ALWAYS: [(&str, &str); 2] =
    [("421", "Called by a name that is not in web.hosts"), ("503", "Too busy; ask again")];
/// What a request with a path, a query or a body may get.
const ASKING: [(&str, &str); 1] =
    [("400", "It cannot be understood; the error says what is wrong")];
/// What a request may get that changes something.
const SENDING: [(&str, &str); 5] = [
    ("400", "It cannot be understood; the error says what is wrong"),
    ("403", "Another site asks, or it is switched off"),
    ("408", "The body did not arrive in time"),
    ("413", "The body is too large"),
    ("415", "The body is not JSON"),
];

/// The document of the routes that are guarded, and of those that are open.
pub(super) fn complete(guarded: OpenApi, open: OpenApi) -> OpenApi {
    let mut document = described(guarded, true);
    document.merge(described(open, false));
    document.info = InfoBuilder::new()
        .title("seewhen")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(LicenseBuilder::new().name("MIT OR Apache-2.0").build()))
        .build();
    let mut components =
        document.components.take().unwrap_or_else(|| ComponentsBuilder::new().build());
    components.schemas.insert("Error".to_owned(), RefOr::T(error()));
    let token =
        Http::builder().scheme(HttpAuthScheme::Bearer).description(Some("web.token")).build();
    components.add_security_scheme("token", SecurityScheme::Http(token));
    let about = "What /api/login sets: seewhen-PORT, over TLS __Host-seewhen-PORT";
    let session = ApiKey::Cookie(ApiKeyValue::with_description("seewhen-8480", about));
    components.add_security_scheme("session", SecurityScheme::ApiKey(session));
    document.components = Some(components);
    document
}

fn error() -> Schema {
    let words = ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .description(Some("What, and what to do"))
        .build();
    let error = ObjectBuilder::new().property("error", words).required("error").build();
    Schema::Object(error)
}

fn described(mut document: OpenApi, guarded: bool) -> OpenApi {
    for item in document.paths.paths.values_mut() {
        let operations = [(HttpMethod::Get, &mut item.get), (HttpMethod::Post, &mut item.post)];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                describe(operation, method == HttpMethod::Post, guarded);
            }
        }
    }
    document
}

fn describe(operation: &mut Operation, sends: bool, guarded: bool) {
    operation.tags = None;
    if guarded {
        let none: [&str; 0] = [];
        operation.security = Some(vec![
            SecurityRequirement::new("token", none),
            SecurityRequirement::new("session", none),
        ]);
    }
    let asks = operation.parameters.as_ref().is_some_and(|all| !all.is_empty());
    let more = ALWAYS
        .iter()
        .chain(GUARDED.iter().filter(|_| guarded))
        .chain(ASKING.iter().filter(|_| asks))
        .chain(SENDING.iter().filter(|_| sends));
    let responses = &mut operation.responses.responses;
    for (status, words) in more {
        let new = || RefOr::T(ResponseBuilder::new().description(*words).build());
        responses.entry((*status).to_owned()).or_insert_with(new);
    }
    for (status, response) in responses {
        let RefOr::T(response) = response else { continue };
        if response.description.is_empty() {
            words_for(status).clone_into(&mut response.description);
        }
        if status.starts_with(['4', '5']) && response.content.is_empty() {
            let schema = RefOr::Ref(Ref::from_schema_name("Error"));
            let content = ContentBuilder::new().schema(Some(schema)).build();
            response.content.insert("application/json".to_owned(), RefOr::T(content));
        }
    }
}

/// Where an operation says nothing special.
fn words_for(status: &str) -> &'static str {
    match status {
        "304" => "As it was, by If-None-Match",
        "400" => "It cannot be understood; the error says what is wrong",
        "401" => "User or password are wrong",
        "403" => "It is switched off",
        "404" => "There is no such thing, or none yet",
        "409" => "It was refused; the reason is in the answer",
        "413" => "It is too large",
        "429" => "Too many; see Retry-After where there is one",
        "500" => "It failed here; the error says why",
        "503" => "It cannot be done just now",
        _ => "Done",
    }
}
