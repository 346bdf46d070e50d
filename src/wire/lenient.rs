//! Members of events, read leniently: what has another shape than expected is taken for nothing, as an event
//! of a shape that nobody has heard of yet must not go unread as a whole.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Text, borrowed where it has no escapes; none where it is something else.
pub(super) struct Text<'a>(pub(super) Option<Cow<'a, str>>);

/// The members of a channel, bridge, playback, … that matter; all none where it is no object.
#[derive(Default)]
pub(super) struct Object<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) technology: Option<Cow<'a, str>>,
    pub(super) resource: Option<Cow<'a, str>>,
    pub(super) target_uri: Option<Cow<'a, str>>,
    pub(super) channels: Vec<Cow<'a, str>>,
}

/// Texts of a list; empty where it is no list.
#[derive(Default)]
pub(super) struct Texts<'a>(pub(super) Vec<Cow<'a, str>>);

/// Implements the methods of a visitor that takes anything it does not care for as nothing:
/// an event of a shape that nobody has heard of yet must not go unread as a whole.
macro_rules! lenient {
    ($nothing:expr) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("anything")
        }
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok($nothing)
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok($nothing)
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok($nothing)
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok($nothing)
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok($nothing)
        }
    };
}

macro_rules! lenient_text {
    ($nothing:expr) => {
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok($nothing)
        }
    };
}

macro_rules! lenient_list {
    ($nothing:expr) => {
        fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok($nothing)
        }
    };
}

macro_rules! lenient_map {
    ($nothing:expr) => {
        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok($nothing)
        }
    };
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Text<'de>;
            lenient!(Text(None));
            lenient_list!(Text(None));
            lenient_map!(Text(None));
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Borrowed(text))))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Some(Cow::Owned(text.to_owned()))))
            }
        }
        from.deserialize_any(Visit)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Texts<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Texts<'de>;
            lenient!(Texts::default());
            lenient_text!(Texts::default());
            lenient_map!(Texts::default());
            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
                let mut texts = Vec::new();
                while let Some(Text(text)) = seq.next_element::<Text<'de>>()? {
                    texts.extend(text);
                }
                Ok(Texts(texts))
            }
        }
        from.deserialize_any(Visit)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Object<'de>;
            lenient!(Object::default());
            lenient_text!(Object::default());
            lenient_list!(Object::default());
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut object = Object::default();
                while let Some(Text(name)) = map.next_key::<Text<'de>>()? {
                    match name.as_deref().unwrap_or_default() {
                        "id" => object.id = map.next_value::<Text<'de>>()?.0,
                        "name" => object.name = map.next_value::<Text<'de>>()?.0,
                        "technology" => object.technology = map.next_value::<Text<'de>>()?.0,
                        "resource" => object.resource = map.next_value::<Text<'de>>()?.0,
                        "target_uri" => object.target_uri = map.next_value::<Text<'de>>()?.0,
                        "channels" | "channel_ids" => {
                            object.channels = map.next_value::<Texts<'de>>()?.0;
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(object)
            }
        }
        from.deserialize_any(Visit)
    }
}

pub(super) use {lenient, lenient_list, lenient_text};
