"""Admission policies: expressions that judge and change writes, kept as objects of the API.

definitions (policies and bindings, followed) -> relevance (who is concerned, with which params) -> invocations
validating judges with them, mutating changes with them, typechecking tells what is wrong with the expressions
"""
