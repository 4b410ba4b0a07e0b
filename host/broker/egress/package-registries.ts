/**
 * Hosts that package managers read from. They may be reached unless the user takes them off the list. The names are
 * exact, and none is a place where anybody can put files for everybody without a package of his own. Publishing needs a
 * token, and no token is inside.
 */
export const PACKAGE_REGISTRIES: readonly string[] = [
  // npm, yarn
  "registry.npmjs.org:443",
  "registry.yarnpkg.com:443",
  // Node's headers, for packages that are compiled
  "nodejs.org:443",
  // pip
  "pypi.org:443",
  "files.pythonhosted.org:443",
  // cargo
  "index.crates.io:443",
  "static.crates.io:443",
  // go: this one asks any server that the path of a module names
  "proxy.golang.org:443",
  "sum.golang.org:443",
  // maven, gradle
  "repo.maven.apache.org:443",
  "repo1.maven.org:443",
  "plugins.gradle.org:443",
  // nuget
  "api.nuget.org:443",
  // gem
  "rubygems.org:443",
  "index.rubygems.org:443",
  // apt
  "deb.debian.org:80",
  "deb.debian.org:443",
  "security.debian.org:80",
  "security.debian.org:443",
];
