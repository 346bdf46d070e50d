//! What a row of the table of events becomes.

/// Makes [`Event`](super::Event), [`EventType`](super::EventType) and a struct per row of the table. The order
/// of members is of no matter but for channels: the first is what the event is about.
macro_rules! events {
    ($(
        $(#[$about:meta])*
        $name:ident {
            $($member:ident: $type:ty = $says:literal),* $(,)?
        }
        $(+ optional {
            $($optional:ident: $optional_type:ty = $optionally:literal),* $(,)?
        })?
    )*) => {
        /// An event: of Asterisk, of a proxy, or of this process.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(untagged)]
        #[non_exhaustive]
        pub enum Event {
            $(
                $(#[$about])*
                $name(Box<$name>),
            )*
            /// What a proxy says of itself: whether its events come, and whether some were lost.
            Status(Box<Status>),
            /// Events may be missing between this and the one before.
            Gap(Gap),
            /// Any other, as it came; text where it is not JSON.
            Other(Value),
        }

        /// The type of an event.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum EventType {
            $(
                $(#[$about])*
                $name,
            )*
            /// What a proxy says of itself.
            Status,
            /// Events may be missing.
            Gap,
            /// One of Asterisk's that is not known here, by its name.
            Other(String),
        }

        impl EventType {
            /// All types of Asterisk's that are known here.
            pub const KNOWN: &[EventType] = &[$(EventType::$name),*];

            /// The type that Asterisk calls `name`.
            pub fn named(name: &str) -> EventType {
                match name {
                    $(stringify!($name) => EventType::$name,)*
                    other => EventType::Other(other.to_owned()),
                }
            }

            /// What Asterisk calls it.
            pub fn name(&self) -> &str {
                match self {
                    $(EventType::$name => stringify!($name),)*
                    EventType::Status => "Status",
                    EventType::Gap => "Gap",
                    EventType::Other(name) => name,
                }
            }
        }

        impl Event {
            /// Reads `event`, which is of the type `named`; none if that is not known.
            pub(super) fn read(named: &str, event: &str) -> Option<serde_json::Result<Event>> {
                Some(match named {
                    $(stringify!($name) => serde_json::from_str(event).map(Event::$name),)*
                    _ => return None,
                })
            }

            /// Its type.
            pub fn event_type(&self) -> EventType {
                match self {
                    $(Event::$name(_) => EventType::$name,)*
                    Event::Status(_) => EventType::Status,
                    Event::Gap(_) => EventType::Gap,
                    Event::Other(other) => EventType::named(text_of(other, "type")),
                }
            }

            /// The application that it is for; empty where it is not said.
            pub fn application(&self) -> &str {
                match self {
                    $(Event::$name(event) => &event.application,)*
                    Event::Status(status) => &status.application,
                    Event::Gap(_) => "",
                    Event::Other(other) => text_of(other, "application"),
                }
            }

            /// The id of the Asterisk that it is from; empty where it is not said.
            pub fn asterisk_id(&self) -> &str {
                match self {
                    $(Event::$name(event) => &event.asterisk_id,)*
                    Event::Status(status) => &status.asterisk,
                    Event::Gap(_) => "",
                    Event::Other(other) => text_of(other, "asterisk_id"),
                }
            }

            /// When it happened, as Asterisk writes it; empty where it is not said.
            pub fn timestamp(&self) -> &str {
                match self {
                    $(Event::$name(event) => &event.timestamp,)*
                    Event::Status(_) | Event::Gap(_) => "",
                    Event::Other(other) => text_of(other, "timestamp"),
                }
            }

            /// The dialog that it was published for; empty if none.
            pub fn dialog(&self) -> &str {
                match self {
                    $(Event::$name(event) => &event.dialog,)*
                    Event::Status(_) | Event::Gap(_) => "",
                    Event::Other(other) => text_of(other, "dialog"),
                }
            }

            /// The channel that it is about, if it is about one: of a Dial the one that is dialed, of a transfer
            /// the one that transfers.
            pub fn channel(&self) -> Option<&ChannelData> {
                match self {
                    $(Event::$name(_event) => None$(.or_else(|| _event.$member.channel()))*
                        $($(.or_else(|| _event.$optional.channel()))*)?,)*
                    Event::Status(_) | Event::Gap(_) | Event::Other(_) => None,
                }
            }
        }

        $(
            entity! {
                $(#[$about])*
                #[serde(tag = "type")]
                $name {
                    /// The application that it is for.
                    application: String,
                    /// The id of the Asterisk that it is from.
                    asterisk_id: String,
                    /// When it happened, as Asterisk writes it.
                    timestamp: String,
                    $(
                        #[doc = $says]
                        $member: $type,
                    )*
                }
                optional {
                    /// The dialog that it was published for; empty if none.
                    dialog: String,
                    $($(
                        #[doc = $optionally]
                        $optional: $optional_type,
                    )*)?
                }
                rest "crate::client::event::decode::rest"
            }
        )*
    };
}

pub(super) use events;
