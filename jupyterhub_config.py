"""SCNet Hub's JupyterHub. `scnet demo` runs it with everything that it needs; `scnet demo --without-hub` starts the
rest and shows how to run the hub by hand: `SCNET_HOME=... jupyterhub -f jupyterhub_config.py`.

Do not set the hub's address (name, path, TLS) here: use `scnet demo --url`, docs/how-to/address.md.
`scnet_hub.hub.configure` makes the settings of the federation; this page contains a site's own settings. State
(database, secrets, people) is in the folder SCNET_HOME, by default `.scnet` here.
"""

import os
from pathlib import Path

from scnet_hub.hub import configure
from scnet_hub.hub.authenticator import LocalAuthenticator, OneName

c = get_config()  # noqa: F821
home = Path(os.environ.get("SCNET_HOME", ".scnet")).resolve()
configure(c, home)

# Logins. The default: generated passwords in a 0600 file, shown once by `scnet demo`.
c.JupyterHub.authenticator_class = LocalAuthenticator
c.LocalAuthenticator.file = str(home / "people.json")
c.Authenticator.admin_users = {"admin"}
c.JupyterHub.template_vars = {
    "announcement_login": "A demo on one machine: every session runs under one system account."
}

# A federation signs people in by OIDC instead (pip install "scnet-hub[oidc]", docs/how-to/oidc.md):
if os.environ.get("SCNET_OIDC"):  # a Python file with the provider's addresses and c.GenericOAuthenticator.client_id
    from oauthenticator.generic import GenericOAuthenticator

    class SignIn(OneName, GenericOAuthenticator):
        """The provider's people, each under one spelling; its settings are those of GenericOAuthenticator."""

    c.JupyterHub.authenticator_class = SignIn
    load_subconfig(os.environ["SCNET_OIDC"])  # noqa: F821

c.JupyterHub.allow_named_servers = True
c.JupyterHub.named_server_limit_per_user = 5
c.JupyterHub.concurrent_spawn_limit = 100
