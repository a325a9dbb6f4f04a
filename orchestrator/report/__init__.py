"""Records to frames, tables, figures and pages."""
