"""A team's own questions: files and data sets of questions with known answers, as a task.

file or Hub data set -> QuestionSet -> Task with a generator, a grader and a step writer
"""
