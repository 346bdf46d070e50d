//! The client: what an application controls calls with.
