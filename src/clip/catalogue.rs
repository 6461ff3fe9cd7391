//! The models that are known by name: OpenAI's nine released CLIPs.

/// Where OpenAI serves them.
pub const ORIGIN: &str = "https://openaipublic.azureedge.net/clip/models";

/// One released model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Released {
    /// As OpenAI calls it.
    pub name: &'static str,
    /// SHA-256 of the file, which is a part of its address too.
    pub digest: &'static str,
    pub file: &'static str,
    /// Size of the download, in megabytes.
    pub megabytes: u32,
    pub speed: Speed,
}

/// How much there is to compute for one picture, against ViT-B/32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speed {
    /// Up to twice as much.
    Fast,
    /// Up to six times.
    Medium,
    /// Up to twenty times.
    Slow,
    /// More: for a GPU.
    VerySlow,
}

impl Speed {
    pub fn word(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Medium => "medium",
            Self::Slow => "slow",
            Self::VerySlow => "very slow",
        }
    }
}

const fn released(
    name: &'static str,
    file: &'static str,
    megabytes: u32,
    speed: Speed,
    digest: &'static str,
) -> Released {
    Released { name, digest, file, megabytes, speed }
}

/// All nine, as `clip.available_models()` lists them.
#[rustfmt::skip]
pub static RELEASED: [Released; 9] = [
    released("RN50", "RN50.pt", 244, Speed::Fast,
        "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762"),
    released("RN101", "RN101.pt", 278, Speed::Medium,
        "8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599"),
    released("RN50x4", "RN50x4.pt", 402, Speed::Medium,
        "7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd"),
    released("RN50x16", "RN50x16.pt", 630, Speed::Slow,
        "52378b407f34354e150460fe41077663dd5b39c54cd0bfd2b27167a4a06ec9aa"),
    released("RN50x64", "RN50x64.pt", 1260, Speed::VerySlow,
        "be1cfb55d75a9666199fb2206c106743da0f6468c9d327f3e0d0a543a9919d9c"),
    released("ViT-B/32", "ViT-B-32.pt", 338, Speed::Fast,
        "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"),
    released("ViT-B/16", "ViT-B-16.pt", 335, Speed::Medium,
        "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f"),
    released("ViT-L/14", "ViT-L-14.pt", 890, Speed::Slow,
        "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836"),
    released("ViT-L/14@336px", "ViT-L-14-336px.pt", 891, Speed::VerySlow,
        "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02"),
];

impl Released {
    /// The bundle's name: a folder cannot have OpenAI's slash.
    pub fn bundle(&self) -> &'static str {
        self.file.strip_suffix(".pt").unwrap_or(self.file)
    }

    /// The address below `origin`, which is OpenAI's or a mirror's.
    pub fn url(&self, origin: &str) -> String {
        format!("{}/{}/{}", origin.trim_end_matches('/'), self.digest, self.file)
    }
}

/// The model of that name, as OpenAI writes it or as its bundle is called; case does not count.
pub fn find(name: &str) -> Option<&'static Released> {
    RELEASED.iter().find(|model| {
        model.name.eq_ignore_ascii_case(name) || model.bundle().eq_ignore_ascii_case(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::checksums::is_digest;

    #[test]
    fn names_are_found_both_ways() {
        assert_eq!(find("ViT-B/32").map(Released::bundle), Some("ViT-B-32"));
        assert_eq!(find("vit-l-14-336px").map(|model| model.name), Some("ViT-L/14@336px"));
        assert!(find("mini").is_none());
        assert!(RELEASED.iter().all(|model| is_digest(model.digest)));
        assert_eq!(
            find("RN50").unwrap().url("http://mirror/"),
            "http://mirror/afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762/RN50.pt"
        );
    }
}
