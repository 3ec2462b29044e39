#!/bin/sh
# Installs logagent: one file into ~/.local/bin, or /usr/local/bin when run by root. It never calls sudo and never
# edits a profile.   curl -fsSL ADDRESS/install.sh | sh        ... | sh -s -- --uninstall
#
#   LOGAGENT_BASE_URL     where the files are: http://, https:// or file:// (with LOGAGENT_VERSION: its folder vVERSION)
#   LOGAGENT_VERSION      for example 0.1.0; default: what lies at the base address itself
#   LOGAGENT_INSTALL_DIR  where the program goes
#   LOGAGENT_TARGET       linux-x64, linux-x64-baseline, linux-x64-musl, linux-arm64, linux-arm64-musl, darwin-x64, darwin-arm64
#   LOGAGENT_NO_SERVICE   1: no systemd unit and no OpenRC script
{ # Read whole before anything runs: a download that breaks off does nothing.
set -eu
# What is installed is for everybody to read and for nobody else to write, whatever this shell's habit.
umask 022

default_base_url=''
marker='# Installed by the install script of logagent; changes are lost with the next one.'
systemd_unit=/etc/systemd/system/logagent.service
openrc_script=/etc/init.d/logagent
config=/etc/logagent/logagent.yaml

say() { printf 'logagent: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }
is_root() { [ "$(id -u)" -eq 0 ]; }

install_dir() {
  if [ -n "${LOGAGENT_INSTALL_DIR:-}" ]; then printf '%s\n' "$LOGAGENT_INSTALL_DIR"
  elif is_root; then echo /usr/local/bin
  elif [ -n "${HOME:-}" ]; then printf '%s\n' "$HOME/.local/bin"
  else die 'choosing the directory: HOME is not set; set LOGAGENT_INSTALL_DIR'
  fi
}

is_musl() {
  for loader in /lib/ld-musl-*.so.1; do
    if [ -e "$loader" ] && ! [ -e /lib64/ld-linux-x86-64.so.2 ] && ! [ -e /lib/ld-linux-aarch64.so.1 ]; then return 0; fi
  done
  has ldd && ldd --version 2>&1 | grep -qi musl
}

detect_target() {
  if [ -n "${LOGAGENT_TARGET:-}" ]; then printf '%s\n' "$LOGAGENT_TARGET"; return; fi
  system=$(uname -s)
  machine=$(uname -m)
  case $machine in
    x86_64 | amd64) machine=x64 ;;
    aarch64 | arm64) machine=arm64 ;;
    *) die "choosing the build: there is none for the processor $machine (only x86_64 and arm64)" ;;
  esac
  case $system in
    Linux)
      if has getconf && [ "$(getconf LONG_BIT 2>/dev/null || echo 64)" = 32 ]; then
        die 'choosing the build: this is a 32-bit system; only 64-bit ones are supported'
      fi
      if is_musl; then echo "linux-$machine-musl"
      elif [ "$machine" = x64 ] && ! grep -qw avx2 /proc/cpuinfo 2>/dev/null; then echo linux-x64-baseline
      else echo "linux-$machine"
      fi ;;
    Darwin)
      if [ "$machine" = x64 ] && [ "$(sysctl -n sysctl.proc_translated 2>/dev/null || echo 0)" = 1 ]; then machine=arm64; fi
      echo "darwin-$machine" ;;
    *) die "choosing the build: there is none for $system (only Linux and macOS; for Windows take logagent-windows-x64.exe.gz)" ;;
  esac
}

# forget_bun: the runtime inside the program obeys these variables; some run code
forget_bun() { # shellcheck disable=SC2046 # names without blanks
  unset BUN_OPTIONS $(env | grep -o '^BUN_[A-Za-z0-9_]*')
}

# fetch_with_wget ADDRESS FILE: wget cannot be told not to leave https, but it tells where it was led
fetch_with_wget() {
  if ! told=$(wget -S -O "$2" "$1" 2>&1); then return 1; fi
  case $1 in
    https://*)
      if printf '%s\n' "$told" | grep -Eiq '^[[:space:]]*location:[[:space:]]*http://'; then
        say "$1 leads from https to http"
        return 1
      fi ;;
  esac
}

# fetch ADDRESS FILE
fetch() {
  case $1 in
    file://*) cp "${1#file://}" "$2" 2>/dev/null || die "fetching $1: there is no such file" ;;
    http://* | https://*)
      # A way that began with https stays with it, redirects included.
      case $1 in https://*) protocols='=https' ;; *) protocols='=http,https' ;; esac
      if has curl; then
        curl -fsSL --proto "$protocols" --proto-redir "$protocols" --retry 2 --connect-timeout 20 -o "$2" "$1" ||
          die "fetching $1 failed"
      elif has wget; then
        fetch_with_wget "$1" "$2" || die "fetching $1 failed"
      else
        die 'fetching: curl or wget is needed'
      fi ;;
    *) die "fetching $1: the address must begin with http://, https:// or file://" ;;
  esac
  [ -s "$2" ] || die "fetching $1: the file is empty"
}

sha256() {
  if has sha256sum; then sha256sum <"$1"
  elif has shasum; then shasum -a 256 <"$1"
  elif has openssl; then openssl dgst -sha256 -r <"$1"
  else die 'verifying: sha256sum, shasum or openssl is needed; nothing was installed'
  fi | cut -d ' ' -f 1
}

# verify FILE NAME SUMS
verify() {
  expected=$(awk -v name="$2" '$2 == name || $2 == "*" name { print $1 }' "$3")
  case $expected in
    *[!0-9a-f]* | '') die "verifying $2: SHA256SUMS holds no single checksum for it; nothing was installed" ;;
  esac
  [ "${#expected}" -eq 64 ] || die "verifying $2: its checksum in SHA256SUMS is damaged; nothing was installed"
  actual=$(sha256 "$1")
  [ "$actual" = "$expected" ] || die "verifying $2: the checksum is $actual, not $expected; nothing was installed"
}

print_unit() {
  cat <<UNIT
$marker
[Unit]
Description=logagent: log files into Apache Kafka
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
# The runtime inside the program obeys BUN_* variables, and some run code: no service needs one.
ExecStart=/bin/sh -c 'unset BUN_OPTIONS \$\$(env | grep -o "^BUN_[A-Za-z0-9_]*"); exec "\$\$0" "\$\$@"' $1/logagent tail --config $config
ExecReload=/bin/kill -HUP \$MAINPID
EnvironmentFile=-/etc/logagent/environment
UnsetEnvironment=NODE_OPTIONS NODE_TLS_REJECT_UNAUTHORIZED SSLKEYLOGFILE
Restart=on-failure
RestartSec=2
RestartPreventExitStatus=64 78
KillSignal=SIGTERM
TimeoutStopSec=30
DynamicUser=yes
SupplementaryGroups=adm
StateDirectory=logagent
StateDirectoryMode=0700
UMask=0077
LimitCORE=0
ProtectSystem=strict
ProtectHome=read-only
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
PrivateDevices=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
SystemCallErrorNumber=EPERM
# No MemoryDenyWriteExecute: it turns the JIT compiler off.

[Install]
WantedBy=multi-user.target
UNIT
}

print_openrc() {
  cat <<SCRIPT
#!/sbin/openrc-run
$marker
description="logagent: log files into Apache Kafka"
supervisor=supervise-daemon
command="$1/logagent"
command_args="tail --config $config"
rc_ulimit="-c 0"
umask=0077
respawn_delay=2
retry="SIGTERM/30/SIGKILL/5"
extra_started_commands="reload"

# The runtime inside the program obeys BUN_* variables, and some run code: no service needs one.
unset BUN_OPTIONS \$(env | grep -o '^BUN_[A-Za-z0-9_]*')

depend() {
  need localmount
  use net
}

reload() {
  supervise-daemon "\$RC_SVCNAME" --signal HUP
}
SCRIPT
}

# ours FILE: it is not there, or this script wrote it
ours() { ! [ -e "$1" ] || grep -qF "$marker" "$1"; }

install_service() {
  if [ -n "${LOGAGENT_NO_SERVICE:-}" ] || ! is_root || [ "$(uname -s)" != Linux ]; then return 0; fi
  if [ -d /run/systemd/system ] && ours "$systemd_unit"; then
    if getent group adm >/dev/null 2>&1; then print_unit "$1"
    else print_unit "$1" | grep -v '^SupplementaryGroups='
    fi >"$systemd_unit"
    systemctl daemon-reload
    if systemctl is-active --quiet logagent; then say 'the service runs the old version until: systemctl restart logagent'
    else say "write $config, then: systemctl enable --now logagent"
    fi
  elif [ -x /sbin/openrc-run ] && ours "$openrc_script"; then
    print_openrc "$1" >"$openrc_script"
    chmod 755 "$openrc_script"
    say "write $config, then: rc-update add logagent && rc-service logagent start"
  fi
}

uninstall() {
  dir=$(install_dir)
  if is_root && [ -z "${LOGAGENT_NO_SERVICE:-}" ]; then
    if [ -e "$systemd_unit" ] && ours "$systemd_unit"; then
      if has systemctl; then systemctl disable --now logagent >/dev/null 2>&1 || :; fi
      rm -f "$systemd_unit"
      if has systemctl; then systemctl daemon-reload >/dev/null 2>&1 || :; fi
    fi
    if [ -e "$openrc_script" ] && ours "$openrc_script"; then
      rc-service logagent stop >/dev/null 2>&1 || :
      rc-update del logagent >/dev/null 2>&1 || :
      rm -f "$openrc_script"
    fi
  fi
  if [ -e "$dir/logagent" ]; then
    rm -f "$dir/logagent" || die "removing $dir/logagent failed"
    say "removed $dir/logagent; configuration and state (/var/lib/logagent, ~/.local/state/logagent) stay"
  else
    say "nothing to remove: there is no $dir/logagent"
  fi
}

install() {
  base=${LOGAGENT_BASE_URL:-$default_base_url}
  [ -n "$base" ] || die 'fetching: LOGAGENT_BASE_URL must say where the files are (http://, https:// or file://)'
  base=${base%/}
  version=${LOGAGENT_VERSION:-}
  version=${version#v}
  if [ -n "$version" ]; then base=$base/v$version; fi
  target=$(detect_target)
  dir=$(install_dir)
  asset=logagent-$target.gz
  has gunzip || die 'unpacking: gunzip is needed'
  if [ -d "$dir/logagent" ]; then
    die "installing: $dir/logagent is a directory; remove it, or set LOGAGENT_INSTALL_DIR"
  fi

  mkdir -p "$dir" 2>/dev/null || die "installing: the directory $dir cannot be made; set LOGAGENT_INSTALL_DIR"
  # Beside the destination: the last step is a rename within one file system, which a running program survives.
  temporary=$(mktemp -d "$dir/.logagent-XXXXXX" 2>/dev/null) ||
    die "installing: the directory $dir cannot be written; set LOGAGENT_INSTALL_DIR"
  trap 'rm -rf "$temporary"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP

  fetch "$base/SHA256SUMS" "$temporary/SHA256SUMS"
  fetch "$base/$asset" "$temporary/$asset"
  verify "$temporary/$asset" "$asset" "$temporary/SHA256SUMS"
  gunzip -c "$temporary/$asset" >"$temporary/logagent" || die "unpacking $asset failed"
  chmod 755 "$temporary/logagent"
  forget_bun
  if ! said=$("$temporary/logagent" --version </dev/null 2>&1); then
    die "trying the build $target: it does not run on this machine ($said); set LOGAGENT_TARGET"
  fi
  case $said in
    "logagent ${version:+$version }"*) ;;
    *) die "trying the build: it says '$said', not version $version; nothing was installed" ;;
  esac
  mv -f "$temporary/logagent" "$dir/logagent"
  say "installed $said as $dir/logagent"
  case :${PATH:-}: in
    *:"$dir":*) ;;
    *) say "$dir is not in PATH; add it to run logagent by its name" ;;
  esac
  install_service "$dir"
}

case ${1:-} in
  '') install ;;
  --uninstall) uninstall ;;
  --print-unit) print_unit "$(install_dir)" ;;
  --print-openrc) print_openrc "$(install_dir)" ;;
  *) say "unknown option $1; known: --uninstall, --print-unit, --print-openrc"; exit 64 ;;
esac
exit 0
}
