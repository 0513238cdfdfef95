"""The macros that run inside CloudFormation: the Serverless transform, by AWS's own translator."""

from __future__ import annotations

import copy
import functools
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3.session
import samtranslator.translator.translator as translating
from samtranslator.model.exceptions import ExceptionWithMessage, InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.utils.py27hash_fix import to_py27_compatible_template, undo_mark_unicode_str_in_template

from sandbox.emulator.cloudformation.errors import invalid, not_emulated
from sandbox.emulator.cloudformation.includes import INCLUDE, Read, included, includes
from sandbox.emulator.cloudformation.loops import extended
from sandbox.emulator.cloudformation.template import LANGUAGE_EXTENSIONS, SERVERLESS, Template

# The translator keeps the region and its metrics in class attributes.
_one_at_a_time = threading.Lock()
# It reads and validates its policy templates for each template that it translates; the plugin made of them
# keeps nothing of a template.
translating.make_policy_template_for_function_plugin = functools.cache(
    translating.make_policy_template_for_function_plugin
)


@dataclass(frozen=True, slots=True)
class Macros:
    """Runs a template's transforms for one account and region."""

    account_id: str
    region: str

    def run(self, template: Template, parameters: Mapping[str, Any], read: Read | None = None) -> Template:
        """The processed template; without transforms, the template itself. ``read`` is for what it includes.

        Raises:
            AwsError: a transform refuses the template, or is one we do not have.
        """
        names = template.transforms
        unknown = [name for name in names if name not in (SERVERLESS, LANGUAGE_EXTENSIONS, INCLUDE)]
        if unknown:
            raise not_emulated(f"the transform {unknown[0]}")
        values: Any = template.values
        if read is not None and (INCLUDE in names or includes(values)):
            values = included(values, parameters, read)
        for name in names:
            if name == INCLUDE:
                continue
            known = {**parameters, **self._pseudo()}
            values = self._serverless(values, known) if name == SERVERLESS else extended(values, known)
        return Template(values)

    def _pseudo(self) -> dict[str, str]:
        return {"AWS::Region": self.region, "AWS::Partition": "aws", "AWS::AccountId": self.account_id}

    def _serverless(self, values: Mapping[str, Any], known: dict[str, Any]) -> dict[str, Any]:
        document = copy.deepcopy(dict(values))
        try:
            with _one_at_a_time:
                return _translate(document, known, self.region)
        except InvalidDocumentException as error:
            causes = " ".join(sorted(cause.message for cause in error.causes))
            raise _failed(f"{error.message} {causes}") from error
        except ExceptionWithMessage as error:
            raise _failed(error.message) from error
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            # The translator stumbles over what no resource of that shape could be.
            raise _failed("Internal transform failure.") from error


def _failed(reason: str) -> Exception:
    return invalid(f"Transform {SERVERLESS} failed with: {reason}")


def _translate(document: dict[str, Any], parameters: dict[str, Any], region: str) -> dict[str, Any]:
    to_py27_compatible_template(document, parameters)
    translator = Translator(None, Parser(), boto_session=_session(region))
    try:
        translated = translator.translate(
            document, parameter_values=parameters, get_managed_policy_map=managed_policies
        )
    finally:
        # It complains of metrics that nobody took; nobody reads them.
        translator.metrics.publish()
    plain: dict[str, Any] = undo_mark_unicode_str_in_template(translated)
    return plain


@functools.cache
def _session(region: str) -> Any:
    return boto3.session.Session(region_name=region)


@functools.cache
def managed_policies() -> dict[str, str]:
    """ARNs of AWS's own policies by name, from the data that moto ships."""
    from moto.iam.aws_managed_policies import aws_managed_policies_data  # two megabytes, seldom needed

    return {
        name: f"arn:aws:iam::aws:policy{policy['Path']}{name}"
        for name, policy in json.loads(aws_managed_policies_data).items()
    }
