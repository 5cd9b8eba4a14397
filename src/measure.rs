//! What is measured on a device, and becomes a table that planning reads.

mod ranges;
