"""Cells: trained, frozen, shown the test part once; judged again where only the threshold differs."""
