"""Training stages in order: pretrain, cpt, sft. Each is a short file on transformers' Trainer."""
