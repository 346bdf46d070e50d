//! Why a call ends.

use super::closed::open;

open! {
    /// Why a channel is hung up, which its other end may be told.
    HangupReason {
        /// The call is over.
        Normal = "normal",
        /// The called one is busy.
        Busy = "busy",
        /// There is no line.
        Congestion = "congestion",
        /// Nobody answers.
        NoAnswer = "no_answer",
        /// Nothing was heard in time.
        Timeout = "timeout",
        /// The call is refused.
        Rejected = "rejected",
        /// There is no such number.
        Unallocated = "unallocated",
        /// The call is over, for no particular reason.
        NormalUnspecified = "normal_unspecified",
        /// Digits are missing.
        NumberIncomplete = "number_incomplete",
        /// No codec suits both ends.
        CodecMismatch = "codec_mismatch",
        /// Another network has failed.
        Interworking = "interworking",
        /// Something has failed.
        Failure = "failure",
        /// Somebody else has answered.
        AnsweredElsewhere = "answered_elsewhere",
    }
}
