"""How a plot is drawn: by matplotlib, which defines it, and by kernels that give the same bytes sooner."""
