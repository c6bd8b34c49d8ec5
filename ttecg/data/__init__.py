"""Where ECGs and reports come from, and how a batch is made."""
