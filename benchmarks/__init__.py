"""What unbraid costs: one script per question; `python -m benchmarks.write` renews README.md."""
