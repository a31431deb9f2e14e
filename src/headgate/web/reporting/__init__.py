"""The report of a campaign: counted from the store, and drawn as one page that needs nothing else."""
