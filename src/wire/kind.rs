//! What a row of the table of kinds can say: entity, REST call, parameters, answer.

/// What a key can name, and how REST paths, responses and error texts call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Entity {
    /// The Asterisk itself: no id.
    Asterisk,
    /// An ARI application.
    Application,
    /// A bridge.
    Bridge,
    /// A channel.
    Channel,
    /// A dynamic configuration object, `class/type/name`.
    Config,
    /// A device state.
    DeviceState,
    /// An endpoint, `tech/resource`.
    Endpoint,
    /// A recording in progress, by name.
    LiveRecording,
    /// A log channel.
    Logging,
    /// A mailbox.
    Mailbox,
    /// A module.
    Module,
    /// A playback.
    Playback,
    /// A sound.
    Sound,
    /// A finished recording, by name.
    StoredRecording,
    /// A global variable.
    Variable,
}

impl Entity {
    /// The `kind` of its keys.
    pub const fn key_kind(self) -> &'static str {
        match self {
            Entity::Asterisk => "",
            Entity::Application => "application",
            Entity::Bridge => "bridge",
            Entity::Channel => "channel",
            Entity::Config => "config",
            Entity::DeviceState => "devicestate",
            Entity::Endpoint => "endpoint",
            Entity::LiveRecording => "liverecording",
            Entity::Logging => "logging",
            Entity::Mailbox => "mailbox",
            Entity::Module => "module",
            Entity::Playback => "playback",
            Entity::Sound => "sound",
            Entity::StoredRecording => "storedrecording",
            Entity::Variable => "variable",
        }
    }

    /// The member of a response's `data` that carries it.
    pub const fn data_member(self) -> &'static str {
        match self {
            Entity::Asterisk => "asterisk",
            Entity::DeviceState => "device_state",
            Entity::LiveRecording => "live_recording",
            Entity::Logging => "log",
            Entity::StoredRecording => "stored_recording",
            other => other.key_kind(),
        }
    }

    /// Its name in the Go program's error texts.
    pub const fn label(self) -> &'static str {
        match self {
            Entity::Asterisk => "asterisk",
            Entity::DeviceState => "deviceState",
            Entity::LiveRecording => "liveRecording",
            Entity::StoredRecording => "storedRecording",
            other => other.key_kind(),
        }
    }

    /// The REST path of one, as a template; empty where Asterisk has none.
    pub const fn path(self) -> &'static str {
        match self {
            Entity::Asterisk => "/asterisk/info",
            Entity::Application => "/applications/{id}",
            Entity::Bridge => "/bridges/{id}",
            Entity::Channel => "/channels/{id}",
            Entity::Config => "/asterisk/config/dynamic/{id}",
            Entity::DeviceState => "/deviceStates/{id}",
            Entity::Endpoint => "/endpoints/{id}",
            Entity::LiveRecording => "/recordings/live/{id}",
            // One log channel cannot be read: the list is, and searched.
            Entity::Logging => "/asterisk/logging",
            Entity::Mailbox => "/mailboxes/{id}",
            Entity::Module => "/asterisk/modules/{id}",
            Entity::Playback => "/playbacks/{id}",
            Entity::Sound => "/sounds/{id}",
            Entity::StoredRecording => "/recordings/stored/{id}",
            Entity::Variable => "/asterisk/variable",
        }
    }

    /// Whether events name it, so that a dialog can be bound to it.
    pub const fn has_events(self) -> bool {
        matches!(
            self,
            Entity::Bridge
                | Entity::Channel
                | Entity::DeviceState
                | Entity::Endpoint
                | Entity::LiveRecording
                | Entity::Playback
        )
    }
}

/// HTTP methods that ARI knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Makes or does something.
    Post,
    /// Sets something.
    Put,
    /// Removes or undoes something.
    Delete,
}

/// How a payload member becomes a REST parameter. Parameters of GET and DELETE go into the query,
/// those of POST and PUT into a JSON body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Text, left out when empty.
    Text,
    /// Text, sent even when empty.
    TextAlways,
    /// Text, this one when empty.
    TextOr(&'static str),
    /// Text, this proxy's application when empty.
    TextOrApplication,
    /// Text, the id of the key when empty and the key names a channel.
    TextOrKeyChannel,
    /// Text, sent as the source `channel:<text>`.
    ChannelSource,
    /// Text; without it the request is refused with this error.
    TextRequired(&'static str),
    /// A whole number, left out when zero.
    Int,
    /// A whole number, sent even when zero.
    IntAlways,
    /// A whole number sent as text.
    IntAsText,
    /// A truth value, left out when false.
    Flag,
    /// A truth value, sent even when false.
    FlagAlways,
    /// Nanoseconds sent as whole seconds, sent even when zero.
    Seconds,
    /// Nanoseconds sent as whole milliseconds, left out when zero.
    Millis,
    /// Nanoseconds sent as whole milliseconds, this many where there are none.
    MillisOr(i64),
    /// Any JSON, left out when absent or empty.
    Json,
    /// Any JSON, null when absent.
    JsonAlways,
    /// An object of texts that become parameters of their own.
    Spread,
}

/// A REST parameter and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Param {
    /// Its name at Asterisk.
    pub to: &'static str,
    /// The payload member, by path; `id` and `key.app` are the key's.
    pub from: &'static str,
    /// What becomes of it.
    pub form: Form,
}

/// An id that the proxy makes where the request brings none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Creates {
    /// What the request creates.
    pub entity: Entity,
    /// Where the request may bring the id, as in [`Param::from`].
    pub id_from: &'static str,
    /// The suffix of a generated id; empty where one is not generated.
    pub suffix: &'static str,
}

/// The REST call of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// Its method.
    pub method: Method,
    /// Its path, as a template of `id` and of payload members.
    pub path: &'static str,
}

/// The payload member of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload {
    /// Its name in the request.
    pub member: &'static str,
    /// What the Go program says when it is missing, put before our own words; empty where it says
    /// nothing (and dies).
    pub missing: &'static str,
}

/// What a success is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// An empty error.
    Done,
    /// The entity that Asterisk returned.
    Data,
    /// The key of the request.
    Key,
    /// Keys of the list that Asterisk returned, their ids from this member (`tech/resource` for
    /// endpoints); `filtered` by the key of the request.
    Keys {
        /// The member with the id.
        id: &'static str,
        /// Whether the request's key filters the list.
        filtered: bool,
    },
    /// No keys, whatever the list says: see `MailboxList`.
    NoKeys,
    /// The value of a variable.
    Variable,
    /// The key of what was created, without a dialog.
    Created,
    /// The key of what will be created, with the dialog of the request.
    Staged,
}

/// What the key of a request must bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// An id.
    Id,
}

/// A row of the table: what the request kind of this name does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// The name in the request.
    pub name: &'static str,
    /// What its key names.
    pub entity: Entity,
    /// What its key must bring.
    pub need: Need,
    /// Its payload.
    pub payload: Option<Payload>,
    /// What it creates.
    pub creates: Option<Creates>,
    /// Whether the entity is read before the call, to learn that it exists.
    pub reads_first: bool,
    /// Its REST call; none for kinds that only bind or stage.
    pub call: Option<Call>,
    /// The parameters of the call. Kinds that stage have them too: what the call would refuse is
    /// refused at once.
    pub params: &'static [Param],
    /// What it answers.
    pub answer: Answer,
    /// What the Go program puts before the error of its call, as a template; empty for nothing.
    pub failure: &'static str,
    /// Whether a dialog is bound to what the key names.
    pub binds_key: bool,
    /// Further entities that a dialog is bound to: what, and the payload member with its id.
    pub binds: &'static [(Entity, &'static str)],
}

impl Kind {
    /// Whether the kind changes something at Asterisk; staging and subscribing do not.
    pub const fn changes(&self) -> bool {
        match self.call {
            None => false,
            Some(call) => !matches!(call.method, Method::Get),
        }
    }

    /// A kind that only answers.
    pub(super) const fn new(name: &'static str, entity: Entity) -> Kind {
        Kind {
            name,
            entity,
            need: Need::Id,
            payload: None,
            creates: None,
            reads_first: false,
            call: None,
            params: &[],
            answer: Answer::Done,
            failure: "",
            binds_key: true,
            binds: &[],
        }
    }

    /// Reads the entity and answers with it.
    pub(super) const fn data(name: &'static str, entity: Entity) -> Kind {
        let mut kind = Kind::new(name, entity).call(Method::Get, entity.path());
        kind.answer = Answer::Data;
        kind
    }

    /// Reads the entity and answers with its key.
    pub(super) const fn get(name: &'static str, entity: Entity) -> Kind {
        let mut kind = Kind::data(name, entity);
        kind.answer = Answer::Key;
        kind
    }

    /// Reads the list at `path` and answers with keys, their ids from the member `id`.
    pub(super) const fn list(
        name: &'static str,
        entity: Entity,
        path: &'static str,
        id: &'static str,
    ) -> Kind {
        let mut kind = Kind::new(name, entity).call(Method::Get, path).keyless();
        kind.answer = Answer::Keys {
            id,
            filtered: false,
        };
        kind
    }

    pub(super) const fn call(mut self, method: Method, path: &'static str) -> Kind {
        self.call = Some(Call { method, path });
        self
    }

    pub(super) const fn params(mut self, params: &'static [Param]) -> Kind {
        self.params = params;
        self
    }

    pub(super) const fn payload(self, member: &'static str) -> Kind {
        self.payload_or(member, "")
    }

    pub(super) const fn payload_or(mut self, member: &'static str, missing: &'static str) -> Kind {
        self.payload = Some(Payload { member, missing });
        self
    }

    pub(super) const fn creates(
        mut self,
        entity: Entity,
        id_from: &'static str,
        suffix: &'static str,
    ) -> Kind {
        self.creates = Some(Creates {
            entity,
            id_from,
            suffix,
        });
        self.answer = Answer::Created;
        self
    }

    pub(super) const fn answers(mut self, answer: Answer) -> Kind {
        self.answer = answer;
        self
    }

    pub(super) const fn keyless(mut self) -> Kind {
        self.need = Need::Nothing;
        self
    }

    pub(super) const fn reading_first(mut self) -> Kind {
        self.reads_first = true;
        self
    }

    pub(super) const fn failing(mut self, failure: &'static str) -> Kind {
        self.failure = failure;
        self
    }

    pub(super) const fn binding_nothing(mut self) -> Kind {
        self.binds_key = false;
        self
    }

    pub(super) const fn binding(mut self, binds: &'static [(Entity, &'static str)]) -> Kind {
        self.binds = binds;
        self
    }
}

/// A parameter, short for the table.
pub(super) const fn param(to: &'static str, from: &'static str, form: Form) -> Param {
    Param { to, from, form }
}
