"""What expressions may ask of ``authorizer``: every authorizer of the server, although some of them have to wait.

An expression is evaluated at once and cannot wait. A question that has no answer yet ends the evaluation; the answer is
found, and everything is evaluated once more. Most expressions ask nothing, and are evaluated once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from podkeeper.api.cel.libraries.authz import Decision, Question
from podkeeper.api.user import UserInfo
from podkeeper.apiserver.authentication.service_accounts import account_user
from podkeeper.apiserver.authorization.authorizer import Authorizer
from podkeeper.apiserver.requestinfo import RequestInfo

T = TypeVar("T")


class _Unanswered(BaseException):
    """Ends an evaluation; no error of an expression, which others could be made of."""

    def __init__(self, question: Question) -> None:
        super().__init__(question)
        self.question = question


class Rights:
    """The answers about one write of ``user``, each found once."""

    def __init__(self, authorizer: Authorizer, user: UserInfo) -> None:
        self._authorizer, self._user = authorizer, user
        self._known: dict[Question, Decision] = {}

    def decide(self, question: Question) -> Decision:
        """For evaluations within ``settle``."""
        known = self._known.get(question)
        if known is None:
            raise _Unanswered(question)
        return known

    async def settle(self, evaluate: Callable[[], T]) -> T:
        """What ``evaluate`` returns or raises once all that it asks is known. It is called again, and must not mind."""
        while True:
            try:
                return evaluate()
            except _Unanswered as waiting:
                question = waiting.question
            self._known[question] = await self._answer(question)

    async def _answer(self, question: Question) -> Decision:
        user = self._user
        if question.service_account is not None:
            user = account_user(*question.service_account)
        decision = await self._authorizer.decide(user, _asked(question))
        return Decision(decision.allowed, decision.reason)


def _asked(question: Question) -> RequestInfo:
    if question.path:
        return RequestInfo(path=question.path, verb=question.verb)
    selectors = {"fieldSelector": question.field_selector, "labelSelector": question.label_selector}
    return RequestInfo(
        path="",
        verb=question.verb,
        is_resource=True,
        group=question.group,
        version="*",
        resource=question.resource,
        subresource=question.subresource,
        namespace=question.namespace,
        name=question.name,
        query={name: [text] for name, text in selectors.items() if text},
    )
