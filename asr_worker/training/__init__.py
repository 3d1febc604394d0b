"""Fine-tuning: a base checkpoint and a dataset in, a better checkpoint out. Knows no Django and no database."""
