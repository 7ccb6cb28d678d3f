"""Reasoning DAGs from a teacher model: right solutions, real wrong turns and real corrections.

Questions with known answers -> teacher's steps -> ReasoningDags with evidence -> SearchPaths
"""
