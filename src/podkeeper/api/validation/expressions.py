"""Expressions of webhooks and admission policies, compiled as they are written, so that mistakes are told at once.

Source: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podkeeper.api.validation.fields import Found

if TYPE_CHECKING:
    from podkeeper.api.cel import Declaration, Environment, Program
    from podkeeper.api.cel.types import Type


class Expressions:
    """Compiles the expressions of one object; what is wrong with them is added to ``found``.

    ``has_params``: they may name ``params``. Only conditions may not name the variables that were declared before."""

    def __init__(self, found: Found, has_params: bool = False) -> None:
        self._found, self._has_params = found, has_params
        self._variables: dict[str, Declaration] = {}

    def condition(self, at: str, text: str) -> None:
        """Whether a request is of interest: true or false."""
        from podkeeper.api.cel import admission, types  # few objects have expressions, and the language is large

        stateless = admission.environment_of(admission.Variables(self._has_params))
        self._compile(at, text.strip(), stateless, types.BOOL)

    def variable(self, at: str, name: str, text: str) -> None:
        """A value of any type with a name, for the expressions after it."""
        from podkeeper.api.cel import types
        from podkeeper.api.cel.declarations import of_type

        program = self._compile(at, text, self._environment(), None)
        self._variables[name] = of_type(types.DYN if program is None else program.result_type)

    def validation(self, at: str, text: str) -> None:
        """What must hold: true or false."""
        from podkeeper.api.cel import types

        self._compile(at, text, self._environment(), types.BOOL)

    def message(self, at: str, text: str) -> None:
        """What is said when it does not hold: text, made without asking who may do what."""
        from podkeeper.api.cel import types

        self._compile(at, text, self._environment(has_authorizer=False), types.STRING)

    def annotation(self, at: str, text: str) -> None:
        """What an audit annotation says: text, or null for nothing. ``text`` is shown as it was written."""
        from podkeeper.api.cel import types

        self._compile(at, text.strip(), self._environment(), (types.STRING, types.NULL), shown=text)

    def mutation(self, at: str, text: str, patch: bool) -> None:
        """A part of the object, or a JSON patch of it."""
        from podkeeper.api.cel import admission

        wanted = admission.JSON_PATCH if patch else admission.OBJECT
        self._compile(at, text.strip(), self._environment(builds_patches=True), wanted)

    def _environment(self, has_authorizer: bool = True, builds_patches: bool = False) -> Environment:
        from podkeeper.api.cel import admission

        known = admission.composed(self._variables)
        variables = admission.Variables(self._has_params, has_authorizer=has_authorizer, composed=known)
        made = admission.patching_environment_of if builds_patches else admission.environment_of
        return made(variables)

    def _compile(
        self, at: str, text: str, environment: Environment, wanted: Type | tuple[Type, ...] | None, shown: str = ""
    ) -> Program | None:
        from podkeeper.api.cel import CelError, WrongType

        try:
            return environment.compile(text, wanted)
        except WrongType as error:
            self._found.invalid(at, shown or text, f"{error.issues[0].message} but got {error.actual}")
        except CelError as error:
            self._found.invalid(at, shown or text, f"compilation failed: {error}")
        return None
