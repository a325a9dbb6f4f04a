"""The figures of a report, as SVG for the page and as files for print."""
