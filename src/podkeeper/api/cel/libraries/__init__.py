"""Kubernetes' libraries of functions, and since when expressions may use them.

Source: the Kubernetes documentation, "Common Expression Language in Kubernetes", and k8s.io/apiserver's base
environment, where each library has the version that introduced it.
"""

from __future__ import annotations

from podkeeper.api.cel.libraries.authz import authz
from podkeeper.api.cel.libraries.conversions import conversions
from podkeeper.api.cel.libraries.extlists import extended_lists
from podkeeper.api.cel.libraries.formats import formats
from podkeeper.api.cel.libraries.lists import lists
from podkeeper.api.cel.libraries.network import network
from podkeeper.api.cel.libraries.operators import operators
from podkeeper.api.cel.libraries.optionals import optionals
from podkeeper.api.cel.libraries.patches import patches
from podkeeper.api.cel.libraries.quantities import quantities
from podkeeper.api.cel.libraries.regex import regex
from podkeeper.api.cel.libraries.semvers import semvers
from podkeeper.api.cel.libraries.sets import sets
from podkeeper.api.cel.libraries.strings import strings
from podkeeper.api.cel.libraries.times import times
from podkeeper.api.cel.libraries.urls import urls
from podkeeper.api.cel.library import Library

#: What every expression may use; those with a later ``since`` only where the version allows them.
LIBRARIES: tuple[Library, ...] = (
    operators,
    conversions,
    times,
    strings,
    lists,
    regex,
    urls,
    authz,
    optionals,
    quantities,
    sets,
    network,
    formats,
    semvers,
    extended_lists,
)
#: The library of mutating policies, which nobody else has.
MUTATION_LIBRARIES: tuple[Library, ...] = (patches,)
