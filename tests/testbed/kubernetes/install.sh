#!/bin/bash
# Build a real Kubernetes control plane 1.20.2 from Debian bookworm's own source package, once, into a cache outside the tree.
#
# The source package `kubernetes` of bookworm carries the whole upstream tree with its vendored libraries, so nothing but
# the Debian mirror of this machine is asked. Takes ten minutes of two processors the first time, nothing afterwards.
# Leaves kube-apiserver, kube-controller-manager, etcd and kubectl in bin/ of the cache and starts nothing. Needs root
# only for tools that are missing.
set -euo pipefail

cache=${RECONCILER_TESTBED_CACHE:-$HOME/.cache/tosca-reconciler}/kubernetes-1.20.2
programs=(kube-apiserver kube-controller-manager etcd kubectl)
packages=(golang-1.19-go golang-1.19-src golang-github-modern-go-reflect2-dev rsync libpopt0 libxxhash0 jq libjq1 libonig5
  etcd-server kubernetes-client)

# command it brings → Debian package
tools=(dpkg-source:dpkg-dev make:make patch:patch openssl:openssl flock:util-linux)

install_tools() {
  local pair missing=()
  for pair in "${tools[@]}"; do command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ "$(id -u)" = 0 ] || { echo "install as root first: apt-get install ${missing[*]}" >&2; exit 1; }
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

complete() {
  local program
  for program in "${programs[@]}"; do [ -x "$cache/bin/$program" ] || return 1; done
}

prepare_apt() {
  local mirror
  mirror=$(awk '/^URIs:/ {print $2; exit} $1 == "deb" {print $2; exit}' \
    $(ls /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null))
  [ -n "$mirror" ] || { echo "no Debian mirror in /etc/apt; add one for bookworm" >&2; exit 1; }
  mkdir -p apt/lists/partial apt/cache/archives/partial apt/parts
  : >apt/status
  cat >apt/parts/bookworm.sources <<END
Types: deb deb-src
URIs: $mirror
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
  cat >apt/apt.conf <<END
Dir::State::lists "$work/apt/lists";
Dir::State::status "$work/apt/status";
Dir::Cache "$work/apt/cache";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$work/apt/parts";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
APT::Sandbox::User "root";
END
  export APT_CONFIG=$work/apt/apt.conf
}

fetch() {
  mkdir -p debs root source
  apt-get -q update
  (cd debs && apt-get -q download "${packages[@]}")
  local deb
  for deb in debs/*.deb; do dpkg -x "$deb" root; done
  (cd source && apt-get -q source --download-only kubernetes && dpkg-source -x kubernetes_*.dsc tree)
}

# Built by Go 1.18 or later, the vendored reflect2 1.0.1 crashes on the first custom object; Debian's 1.0.2 does not.
mend_reflection() {
  local vendored=source/tree/vendor/github.com/modern-go/reflect2
  rm -f "$vendored"/*.go "$vendored"/*.s
  cp root/usr/share/gocode/src/github.com/modern-go/reflect2/*.{go,s} "$vendored/"
}

build() {
  local tree=$work/source/tree
  export GOROOT=$work/root/usr/lib/go-1.19 GOPATH=$tree/.go GOFLAGS='' GOPROXY=off GO111MODULE=auto CGO_ENABLED=0
  export PATH=$GOROOT/bin:$work/root/usr/bin:$PATH HOME=$work/home LD_LIBRARY_PATH=$work/root/usr/lib/x86_64-linux-gnu
  mkdir -p "$HOME" "$GOPATH/src/k8s.io"
  ln -sfn ../../.. "$GOPATH/src/k8s.io/kubernetes"
  nice -n 10 make -C "$tree" WHAT="cmd/kube-apiserver cmd/kube-controller-manager" GOLDFLAGS="-s -w"
  mkdir -p "$cache/bin"
  cp "$tree"/_output/local/bin/linux/amd64/kube-{apiserver,controller-manager} root/usr/bin/{etcd,kubectl} "$cache/bin/"
}

install_tools
mkdir -p "$cache"
exec 9>"$cache/lock"
flock -w 3600 9
if complete; then
  echo "the control plane is in $cache/bin"
  exit 0
fi
work=$cache/work
rm -rf "$work"
mkdir -p "$work"
cd "$work"
prepare_apt
fetch
mend_reflection
build
cd /
rm -rf "$work"
complete || { echo "the build left something out in $cache/bin" >&2; exit 1; }
"$cache/bin/kube-apiserver" --version
