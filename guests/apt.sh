# apt.sh: Debian packages (riscv64, or another architecture) from an isolated apt root, without root
# rights. Sourced.
#
# The isolated root has its own sources, index files, cache and (empty) list of installed
# packages; the machine's apt is asked for three things only: its mirror, its proxy and the
# Debian archive keyring. apt checks the archive's signature on the index and the index's
# checksum on each package, so what comes out is what Debian signed, whoever carried it.
#
#   apt_open DIR RELEASE [ARCH]   makes DIR the isolated root (under the name $apt_root)
#   apt_update [SUITE]      fetches the signed index, and that of a suite beside the release
#                           (backports)
#   apt_r TOOL ARG...       apt-get or apt-cache inside the isolated root
#   apt_closure PKG...      the packages and all that they depend on, each as NAME=VERSION
#   apt_download PKG...     puts the packages as files into $apt_root/debs
#   apt_files PKG...        the paths of those files
#   apt_unpack TREE PKG...  unpacks them into TREE (no maintainer script is run)
#
# All of them leave with one sentence on standard error when they cannot do their work.

say() { echo "${0##*/}: $*" >&2; }
die() { say "$*"; exit 1; }

# The Debian keyring that verifies everything. Debian has it by default, Ubuntu does not.
apt_keyring() {
    local file
    for file in /usr/share/keyrings/debian-archive-keyring.{pgp,gpg}; do
        [ -r "$file" ] && { echo "$file"; return; }
    done
    die "the Debian archive's keys are not on this machine, so nothing can be verified:" \
        "install the package debian-archive-keyring (apt-get install debian-archive-keyring)"
}

# A Debian mirror: TRIDENT_MIRROR, or the first source of this machine that carries Debian.
# Without index files apt prints a field that it does not know as its own name, e.g. $(ORIGIN):
# then the release's name decides.
apt_mirror() {
    if [ -n "${TRIDENT_MIRROR:-}" ]; then
        echo "$TRIDENT_MIRROR"
        return
    fi
    local format='$(IDENTIFIER)|$(REPO_URI)|$(ORIGIN)|$(CODENAME)|$(RELEASE)'
    { apt-get indextargets --format "$format" 2>/dev/null
      apt-get indextargets --no-release-info --format "$format" 2>/dev/null
    } | awk -F'|' '
        $1 != "Packages" || $2 ~ /-(security|lts|ports|debug)\/?$/ { next }
        $3 == "Debian" && $4 !~ /-/ { print $2; exit }
        $3 ~ /ORIGIN/ && $5 ~ /^(bookworm|trixie|forky|duke|sid|stable|testing|unstable)$/ \
            { print $2; exit }'
}

apt_open() {
    apt_root=$1
    local keyring mirror
    apt_release=$2
    apt_arch=${3:-riscv64}
    command -v apt-get >/dev/null || die "apt-get is not on this machine: Debian's packages" \
        "are fetched and verified with apt, use Debian or Ubuntu"
    keyring=$(apt_keyring) || exit 1
    mirror=$(apt_mirror)
    [ -n "$mirror" ] || die "this machine's apt has no Debian mirror (on Ubuntu that is normal):" \
        "name one, as TRIDENT_MIRROR=http://.../debian in the environment"
    mkdir -p "$apt_root"/{lists/partial,cache/archives/partial,parts,debs}
    apt_root=$(cd "$apt_root" && pwd)
    case $apt_root in *[[:space:]\"]*)
        die "apt cannot work below a path with spaces or quotes: $apt_root" ;;
    esac
    : >>"$apt_root/status"
    apt_sources="Types: deb
URIs: $mirror
Components: main
Architectures: $apt_arch
Signed-By: $keyring"
    # Read after the machine's own configuration, of which the hooks must not run here.
    cat >"$apt_root/apt.conf" <<END
#clear APT::Update;
#clear APT::Architectures;
#clear DPkg;
#clear Acquire::Languages;
APT::Architecture "$apt_arch";
APT::Architectures { "$apt_arch"; };
APT::Sandbox::User "root";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "3";
Dir::Etc "$apt_root";
Dir::Etc::sourcelist "debian.sources";
Dir::Etc::sourceparts "parts";
Dir::Etc::trusted "parts/none";
Dir::Etc::trustedparts "parts";
Dir::Etc::preferences "parts/none";
Dir::Etc::preferencesparts "parts";
Dir::State "$apt_root";
Dir::State::lists "lists";
Dir::State::status "$apt_root/status";
Dir::State::extended_states "$apt_root/extended_states";
Dir::Cache "$apt_root/cache";
END
}

apt_r() {
    local tool=$1
    shift
    "$tool" -c "$apt_root/apt.conf" "$@"
}

# A release has two names on a mirror, trixie and for example stable. A mirror or a cache caught
# in the middle of a point release may be whole under one of them only; whichever is used, the
# signed index must say that it is the release that was asked for.
apt_update() {
    local suites=$apt_release suite codename beside=${1:-}
    case $apt_release in
        bookworm) suites="bookworm oldstable oldoldstable" ;;
        trixie) suites="trixie stable oldstable" ;;
        sid) suites="sid unstable" ;;
    esac
    : >"$apt_root/log"
    for suite in $suites; do
        printf '%s\nSuites: %s\n' "$apt_sources" "$suite $beside" >"$apt_root/debian.sources"
        apt_r apt-get -qq -o APT::Update::Error-Mode=any update >>"$apt_root/log" 2>&1 || continue
        codename=$(apt_r apt-get indextargets --format '$(CODENAME)' "Identifier: Packages")
        codename=$(echo "$codename" | grep -vFx "${beside:-none}")
        [ "$codename" = "$apt_release" ] && return
        echo "$suite is $codename, not $apt_release" >>"$apt_root/log"
    done
    grep '^[EW]:\|not ' "$apt_root/log" >&2
    die "Debian's index for $apt_release could not be fetched or did not verify (above: apt's" \
        "words); check the network, or name another mirror as TRIDENT_MIRROR"
}

# Lines "SHA256  path", one for each package's file, as the signed index has them. (What an earlier
# run left beside them, for example an older version, is not among them.)
apt_sums() {
    apt_r apt-get -qq download --print-uris "$@" |
        sed -n "s|^'[^']*' \([^ ]*\) [0-9]* SHA256:\([0-9a-f]*\)\$|\2  $apt_root/debs/\1|p"
}

# apt resolves the dependencies against an empty list of installed packages.
apt_closure() {
    apt_r apt-get -s install "$@" 2>"$apt_root/log" |
        sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1=\2/p'
}

apt_files() {
    apt_sums "$@" | cut -c 67-
}

apt_download() {
    local sum file
    # apt takes a file that is already there as good: a damaged one must go first.
    apt_sums "$@" | while read -r sum file; do
        [ ! -e "$file" ] || echo "$sum  $file" | sha256sum --check --status || rm -f "$file"
    done
    (cd "$apt_root/debs" && apt_r apt-get -qq download "$@") >"$apt_root/log" 2>&1 &&
        apt_sums "$@" | sha256sum --check --strict --quiet >>"$apt_root/log" 2>&1 || {
        tail -n 5 "$apt_root/log" >&2
        die "a package could not be fetched or did not verify (above: apt's own words): $*"
    }
}

apt_unpack() {
    local tree=$1 file
    shift
    mkdir -p "$tree"
    for file in $(apt_files "$@"); do
        dpkg-deb -x "$file" "$tree" || die "$file could not be unpacked (disk full?)"
    done
}

# One run at a time for each output folder; the second waits for the first and finds its work.
lock_folder() {
    mkdir -p "$1" || die "cannot make the folder $1"
    exec 9>"$1/.lock" || die "cannot write in $1"
    flock -n 9 || { say "another run works in $1, waiting for it"; flock 9; }
}
