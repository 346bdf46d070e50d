//! How a playback is controlled.

use super::closed::closed;

closed! {
    /// What a playback is told to do.
    Control {
        /// Begin again.
        Restart = "restart",
        /// Pause.
        Pause = "pause",
        /// Go on.
        Unpause = "unpause",
        /// Go back a little.
        Reverse = "reverse",
        /// Go ahead a little.
        Forward = "forward",
    }
}
