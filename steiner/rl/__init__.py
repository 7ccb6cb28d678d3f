"""Reinforcement learning: rollout groups, rewards, credit assignment, GRPO."""
