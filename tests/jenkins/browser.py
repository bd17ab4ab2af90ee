"""A person at a browser without JavaScript: a session, forms with their crumbs, pages as they are sent."""

import base64
import http.cookiejar
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass

from tests.jenkins.controller import Controller

# Four people and their passwords; nobody else sees anything.
SECURE = """
import hudson.security.*
import jenkins.model.Jenkins
import hudson.slaves.Cloud
import org.acegisecurity.acls.sid.PrincipalSid

class PeopleFilter implements jenkins.security.CustomClassFilter {
    Boolean permits(Class<?> type) { type.name.startsWith('People') ? true : null }
    Boolean permits(String name) { name.startsWith('People') ? true : null }
}
class People extends AuthorizationStrategy {
    ACL getRootACL() {
        def acl = new SparseACL(null)
        acl.add(new PrincipalSid('admin'), Jenkins.ADMINISTER, true)
        acl.add(new PrincipalSid('operator'), Cloud.PROVISION, true)
        ['operator', 'watcher'].each { acl.add(new PrincipalSid(it), Jenkins.SYSTEM_READ, true) }
        ['operator', 'watcher', 'reader'].each { acl.add(new PrincipalSid(it), Jenkins.READ, true) }
        acl
    }
    Collection<String> getGroups() { [] }
}
hudson.ExtensionList.lookup(jenkins.security.CustomClassFilter).add(new PeopleFilter())
Jenkins.SYSTEM_READ.enabled = true
def realm = new HudsonPrivateSecurityRealm(false)
['admin', 'operator', 'watcher', 'reader'].each { realm.createAccount(it, it + '-password') }
Jenkins.get().securityRealm = realm
Jenkins.get().authorizationStrategy = new People()
"""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer."""

    status: int
    text: str

    def table(self, heading: str) -> str:
        """What is under a heading of the second level."""
        return self.text.partition(f"<h2>{heading}</h2>")[2].partition("<h2>")[0]


class Browser:
    """One person, or an anonymous visitor."""

    def __init__(self, controller: Controller, user: str | None = None) -> None:
        self._url = controller.url
        self._user = user
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(jar)

    def open(self, path: str, form: dict[str, str] | None = None) -> Page:
        """What a path answers, after redirects; a form is posted."""
        data = None if form is None else urllib.parse.urlencode(form).encode()
        request = urllib.request.Request(self._url + path, data=data)
        if self._user:
            word = f"{self._user}:{self._user}-password"
            request.add_header("Authorization", "Basic " + base64.b64encode(word.encode()).decode())
        try:
            with self._opener.open(request, timeout=20) as reply:
                return Page(reply.status, reply.read().decode())
        except urllib.error.HTTPError as error:
            return Page(error.code, error.read().decode(errors="replace"))

    def hidden(self, page: Page, action: str) -> dict[str, str]:
        """The hidden fields of the first form with this action."""
        form = re.search(rf'<form[^>]*action="{re.escape(action)}"[^>]*>(.*?)</form>', page.text, re.S)
        assert form, f"no form {action}"
        inputs = re.findall(r"<input[^>]*>", form[1])
        fields = [dict(re.findall(r'(\w+)="([^"]*)"', one)) for one in inputs]
        return {field["name"]: field["value"] for field in fields if field.get("type") == "hidden"}
