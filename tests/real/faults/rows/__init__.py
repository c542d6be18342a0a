"""One test for each way in which a real centre breaks (docs/explanation/faults-by-row.md): what a person sees, and that
nothing is lost."""
