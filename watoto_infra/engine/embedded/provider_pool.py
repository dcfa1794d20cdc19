"""The providers of one run: made by the registry's factories, configured once each, called in threads.

Provider methods are coroutines by the SDK's class, but may block (boto3 does), so each call gets an event loop of its
own in the thread that needs the answer.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from watoto_infra.engine.embedded.state.model import Properties, ResourceState
from watoto_infra.engine.embedded.state.values import plain
from watoto_infra.engine.embedded.urns import package_of
from watoto_infra.errors import ProviderError, StateError, UnsupportedFeature, WatotoError
from watoto_infra.providers.base import ConfigureRequest, Provider

ProviderFactory = Callable[[], Provider]
Registry = Mapping[str, ProviderFactory]
"""Factories by package name (``aws``); what they make is bound to the target's endpoint, but not configured yet."""

_T = TypeVar("_T")


def call_provider(call: Coroutine[Any, Any, _T], *, operation: str, urn: str) -> _T:
    """Wait for a provider's answer to ``operation`` on a resource.

    Raises ``UnsupportedFeature`` where the provider does not serve the operation, a ``WatotoError`` of the provider's
    as it is, and ``ProviderError`` naming operation and URN for anything else that it raises.
    """
    try:
        return asyncio.run(call)
    except WatotoError:
        raise
    except NotImplementedError as error:
        raise UnsupportedFeature(f"{urn}: its provider does not serve {operation}") from error
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ProviderError(f"{operation} of {urn} failed: {reason}") from error


class ProviderPool:
    """Configured providers by the URN of their provider resource."""

    def __init__(self, registry: Registry, states: Mapping[str, ResourceState]) -> None:
        """``states`` are the stack's live resources; their provider resources are configured when first needed."""
        self._registry = registry
        self._states = states
        self._configured: dict[str, Provider] = {}
        self._lock = threading.Lock()

    def make(self, package: str, user: str) -> Provider:
        """Make a provider, not configured yet. Raises ``UnsupportedFeature`` naming its user for an unknown package."""
        factory = self._registry.get(package)
        if factory is None:
            known = ", ".join(sorted(self._registry)) or "none"
            raise UnsupportedFeature(
                f"{user} needs a provider for {package}, which this target has not", hint=f"it has: {known}"
            )
        return factory()

    def configure(self, urn: str, type_: str, inputs: Properties, provider: Provider | None = None) -> Provider:
        """Configure the provider that a provider resource stands for, and keep it under that URN.

        Raises ``UnsupportedFeature`` for an unknown package, and whatever the provider raises.
        """
        configured = provider or self.make(package_of(type_), urn)
        variables = {
            f"{package_of(type_)}:config:{key}": str(plain(value, show_secrets=True)) for key, value in inputs.items()
        }
        request = ConfigureRequest(variables, dict(inputs), accept_secrets=True, accept_resources=False)
        call_provider(configured.configure(request), operation="configure", urn=urn)
        self._configured[urn] = configured
        return configured

    def get(self, reference: str | None, user: str) -> Provider:
        """Give the configured provider of a reference. Raises ``StateError`` naming ``user`` when there is none."""
        urn = (reference or "").rpartition("::")[0]
        with self._lock:
            provider = self._configured.get(urn)
            if provider is not None:
                return provider
            state = self._states.get(urn)
            if state is None:
                raise StateError(
                    f"{user} refers to the provider {urn or 'none'}, which is not in the state",
                    hint="`watoto state repair` mends dangling references",
                )
            return self.configure(urn, state.type, state.inputs)
