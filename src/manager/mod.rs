//! The service manager as a trait: what the roll and the verbs need of systemd, and nothing else.
