"""The state of moto's services as bytes and back, so that another process of the same moto can go on from it.

Services share objects (a load balancer holds EC2's subnets), so all are in one pickle: identity is kept. Whatever every
process of this moto makes alike is left out and named instead: the services themselves, the public images, the
policies that AWS manages. What a pickle cannot hold is told in another way (``_Pickler.reducer_override``).
"""

from __future__ import annotations

import gc
import io
import pickle
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakValueDictionary

from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)
from cryptography.x509 import Certificate, load_der_x509_certificate
from moto.backends import get_backend
from moto.core.base_backend import AccountSpecificBackend, BackendDict, BaseBackend
from moto.ec2.models import EC2Backend, ec2_backends
from moto.ec2.models.amis import Ami
from moto.iam.models import AWSManagedPolicy, IAMBackend, iam_backends
from moto.moto_api._internal import mock_random
from moto.ssm.models import SimpleSystemManagerBackend

KEPT_ELSEWHERE = frozenset({"s3", "moto_api", "instance_metadata"})
"""Services that are not in the state: S3's buckets and objects have a store of their own, the others have none."""

LOCKS = {type(threading.Lock()): threading.Lock, type(threading.RLock()): threading.RLock}
MANAGED_POLICY_CHANGES = ("attachment_count", "default_version_id", "next_version_num")
"""What use changes of a policy that AWS manages."""

Place = tuple[str, str, str]
"""A service by the name of moto's module, an account, and a region (for services without regions a partition)."""
State = dict[Place, dict[str, Any]]
"""The attributes of each service's backend."""

_public: dict[tuple[str, str], tuple[frozenset[str], frozenset[str]]] = {}
"""By account and region: the ids of the images that EC2 had from its start, and of their snapshots."""


def prepare_moto() -> None:
    """Have moto make alike in every process what the state leaves out, and hold only what a pickle can.

    Must be called before the first service is made, once.
    """
    make_network, make_identity, make_parameters = (
        kind.__init__ for kind in (EC2Backend, IAMBackend, SimpleSystemManagerBackend)
    )

    def network(self: Any, region_name: str, account_id: str) -> None:
        with _same_ids(f"ec2 {account_id} {region_name}"):
            make_network(self, region_name, account_id)
        _public[account_id, region_name] = frozenset(self.amis), frozenset(self.snapshots)

    def identity(self: Any, region_name: str, account_id: str) -> None:
        with _same_ids(f"iam {account_id} {region_name}"):
            make_identity(self, region_name, account_id)

    def parameters(self: Any, region_name: str, account_id: str) -> None:
        make_parameters(self, region_name, account_id)
        self._resource_tags = defaultdict(_tags_by_resource, self._resource_tags)

    EC2Backend.__init__, IAMBackend.__init__ = network, identity
    SimpleSystemManagerBackend.__init__ = parameters


@contextmanager
def _same_ids(seed: str) -> Iterator[None]:
    """Make up meanwhile the ids that this seed gives; others are as random afterwards as before."""
    before = mock_random.getstate()
    mock_random.seed(seed)
    try:
        yield
    finally:
        mock_random.setstate(before)


def _tags_by_resource() -> defaultdict[str, dict[str, str]]:
    """Stand in for moto's own factory, which is a lambda."""
    return defaultdict(dict)


def dump_state() -> bytes:
    """Give the state of every service. Nobody may change one meanwhile; raises whatever cannot be pickled raises."""
    state: State = {
        (service, account, region): _attributes(service, account, region, backend)
        for service, backends in _services()
        for account, regions in list(backends.items())
        for region, backend in list(regions.items())
    }
    with io.BytesIO() as stream:
        _Pickler(stream, pickle.HIGHEST_PROTOCOL).dump(state)
        return stream.getvalue()


def load_state(pickled: bytes) -> None:
    """Give moto's services the state that ``dump_state`` gave, which runs whatever code the bytes say.

    Raises whatever goes wrong; then some services may have the state and others not (``forget_all``).
    """
    state: State = _Unpickler(io.BytesIO(pickled)).load()
    for (service, account, region), attributes in state.items():
        backend = get_backend(service)[account][region]
        made = _made_by_itself(service, backend)
        whole = attributes | {name: {**held, **attributes[name]} for name, held in made.items()}
        if service == "iam":
            whole["aws_managed_policies"] = backend.aws_managed_policies
        vars(backend).clear()
        vars(backend).update(whole)


def forget_all() -> None:
    """Make every service empty, as in a new process, whatever it holds."""
    for backends in BackendDict._instances:
        backends.clear()
    BackendDict._instances.clear()
    gc.collect()  # EC2 finds the VPCs of other accounts by weak references


def _services() -> Iterator[tuple[str, Any]]:
    """Give each service that is in use; two of moto's own ``service_name`` may be the same."""
    for backends in list(BackendDict._instances):
        service = _service_of(backends.backend)
        if service not in KEPT_ELSEWHERE:
            yield service, backends


def _service_of(kind: type) -> str:
    """Give the name of moto's module in which a service's backend is."""
    return kind.__module__.split(".")[1]


def _attributes(service: str, account: str, region: str, backend: Any) -> dict[str, Any]:
    """Give what is to be kept of a backend: all but what each process makes by itself."""
    attributes = dict(vars(backend))
    if service == "ec2":
        images, snapshots = _public[account, region]
        attributes["amis"] = {name: image for name, image in backend.amis.items() if name not in images}
        attributes["snapshots"] = {name: one for name, one in backend.snapshots.items() if name not in snapshots}
    elif service == "iam":
        del attributes["aws_managed_policies"]
        policies = backend.managed_policies.items()
        attributes["managed_policies"] = {arn: one for arn, one in policies if type(one) is not AWSManagedPolicy}
    return attributes


def _made_by_itself(service: str, backend: Any) -> dict[str, dict[str, Any]]:
    """Give what a new backend holds that ``_attributes`` leaves out, by the attribute's name."""
    names = {"ec2": ("amis", "snapshots"), "iam": ("managed_policies",)}.get(service, ())
    return {name: getattr(backend, name) for name in names}


class _Pickler(pickle.Pickler):
    """Names what every process has, and reduces what a pickle cannot hold."""

    def persistent_id(self, thing: Any) -> tuple[str, ...] | None:
        kind = type(thing)
        if kind is Ami:
            network = thing.ec2_backend
            images, _ = _public[network.account_id, network.region_name]
            return ("image", network.account_id, network.region_name, thing.id) if thing.id in images else None
        if issubclass(kind, BaseBackend):
            return "backend", _service_of(kind), thing.account_id, thing.region_name
        if kind is AccountSpecificBackend:
            return "account", _service_of(thing.backend), thing.account_id
        if kind is BackendDict:
            return "service", _service_of(thing.backend)
        return None

    def reducer_override(self, thing: Any) -> Any:
        kind = type(thing)
        if kind in LOCKS:
            return LOCKS[kind], ()
        if kind is threading.Condition:
            return threading.Condition, ()
        if kind is WeakValueDictionary:
            return WeakValueDictionary, (dict(thing),)
        if kind is AWSManagedPolicy:
            changed = {name: getattr(thing, name) for name in MANAGED_POLICY_CHANGES}
            return _managed_policy, (thing.account_id, thing.partition, thing.arn, changed)
        if issubclass(kind, defaultdict) and kind is not defaultdict:
            return _bare_defaultdict, (kind, thing.default_factory), vars(thing) or None, None, iter(thing.items())
        if hasattr(kind, "private_bytes"):
            return _private_key, (thing.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()),)
        if issubclass(kind, Certificate):
            return _certificate, (thing.public_bytes(Encoding.DER),)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    """Gives for each name of ``_Pickler.persistent_id`` what this process has of that name."""

    def persistent_load(self, name: tuple[str, ...]) -> Any:
        match name:
            case "backend", service, account, region:
                return get_backend(service)[account][region]
            case "account", service, account:
                return get_backend(service)[account]
            case "service", service:
                return get_backend(service)
            case "image", account, region, image:
                return ec2_backends[account][region].amis[image]
        raise pickle.UnpicklingError(f"nothing is named {name}")


# --- what pickles name: a change of these needs another ``memory.SCHEMA`` -------------------------------------------


def _managed_policy(account: str, partition: str, arn: str, changed: dict[str, Any]) -> Any:
    policy = iam_backends[account][partition].managed_policies[arn]
    vars(policy).update(changed)
    return policy


def _bare_defaultdict(kind: Any, factory: Callable[[], Any] | None) -> Any:
    """Make a subclass of defaultdict whose own ``__init__`` wants what a pickle does not have."""
    made = kind.__new__(kind)
    made.default_factory = factory
    return made


def _private_key(der: bytes) -> PrivateKeyTypes:
    return load_der_private_key(der, None)


def _certificate(der: bytes) -> Certificate:
    return load_der_x509_certificate(der)
