"""One description of a report, and what writes it: HTML, Markdown, LaTeX, plain text."""
