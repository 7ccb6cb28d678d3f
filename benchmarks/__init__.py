"""The figures of docs/results.md, each measured by `make bench FIGURE=name`."""
