//! Integration tests of the profile table.
