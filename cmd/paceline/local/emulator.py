"""Runs ministack with the IAM conditions that Paceline's policies need."""

import json

from ministack.core import iam_actions, iam_evaluator

_known = iam_actions.request_tag_context
_extract_resource_arn = iam_actions.extract_resource_arn
_pin_request_origin = iam_evaluator.pin_request_origin


def _keys(service, action, body, params):
    """Returns the condition keys that ministack knows, and those of KMS and
    EventBridge that it lacks.

    https://docs.aws.amazon.com/service-authorization/latest/reference/list_awskeymanagementservice.html
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html
    """
    keys = dict(_known(service, action, body, params))
    if service not in ("kms", "events"):
        return keys
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return keys
    if service == "kms":
        for name, value in (request.get("EncryptionContext") or {}).items():
            keys["kms:EncryptionContext:" + name] = value
    if action == "events:PutEvents":
        sources = {entry.get("Source") for entry in request.get("Entries") or []}
        # AWS checks each entry. Each of our statements allows one source.
        if len(sources) == 1:
            keys["events:source"] = sources.pop()
    return keys


def _resource_arn(service, method, path, headers, body, params, region, account_id):
    """Returns the resource of a request, also of calls for several parameters."""
    arn = _extract_resource_arn(service, method, path, headers, body, params, region, account_id)
    if service != "ssm" or arn != "*":
        return arn
    try:
        request = json.loads(body or b"{}")
    except ValueError:
        return arn
    # AWS checks every name. Here the first is enough, because all names of a call
    # are in one folder.
    name = request.get("Path") or next(iter(request.get("Names") or []), "")
    return f"arn:aws:ssm:{region}:{account_id}:parameter{name}" if name else arn


def _pin_origin(source_ip, _secure_transport):
    """Marks a request as made over TLS, which the local cloud lacks."""
    _pin_request_origin(source_ip, True)


iam_actions.request_tag_context = _keys
iam_actions.extract_resource_arn = _resource_arn
iam_evaluator.pin_request_origin = _pin_origin

if __name__ == "__main__":
    from ministack.app import main

    main()
