"""The sections of a report: which tables, figures and sentences stand where."""
