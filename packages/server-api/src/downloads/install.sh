#!/bin/sh
# Installs Edge Relay's agent on this machine, pairs it, and keeps it running. Its server fills in the lines with @.
set -eu

ORIGIN='@ORIGIN@'
# What the server offers: a file's SHA-256, two spaces, its name.
FILES='@FILES@'

usage() {
  cat <<EOF
curl -fsSL $ORIGIN/install.sh | sh -s -- [CODE] [OPTIONS]

  CODE            the pairing code from the console; without it this machine asks, and you approve
  --dir DIR       where the program goes: ~/.local/bin, for root /usr/local/bin
  --no-service    pair, and run nothing
  --foreground    run until Ctrl-C, also where there is systemd
  --uninstall     remove the service and the program; credentials stay
  --help          this

Anything else is for edge-relay pair: --to URL, --service NAME=TARGET, --name NAME, --force, --state DIR …
EOF
}

say() { printf '%s\n' "$*"; }
fail() {
  printf 'edge-relay: %s\n' "$*" >&2
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

# linux-x64 and so on, as downloads are named.
platform() {
  case "$(uname -s)" in
    Linux) system=linux ;;
    Darwin) system=darwin ;;
    *) fail "there is no agent for $(uname -s)" ;;
  esac
  case "$(uname -m)" in
    x86_64 | amd64) machine=x64 ;;
    aarch64 | arm64) machine=arm64 ;;
    *) fail "there is no agent for a $(uname -m)" ;;
  esac
  for loader in /lib/ld-musl-*; do
    if [ -e "$loader" ] && ! [ -e /lib64/ld-linux-x86-64.so.2 ] && ! [ -e /lib/ld-linux-aarch64.so.1 ]; then
      fail "this machine has musl in place of glibc: take the npm package, with a Node of its own"
    fi
  done
  say "$system-$machine"
}

fetch() {
  if has curl; then curl -fsSL --retry 3 -o "$2" "$1"
  elif has wget; then wget -qO "$2" "$1"
  else fail "neither curl nor wget is here"
  fi
}

hash_of() {
  if has sha256sum; then sha256sum "$1" | cut -d ' ' -f 1
  elif has shasum; then shasum -a 256 "$1" | cut -d ' ' -f 1
  elif has openssl; then openssl dgst -sha256 "$1" | sed 's/.* //'
  else fail "neither sha256sum, shasum nor openssl is here: the download cannot be checked"
  fi
}

# systemctl for the machine, or for this person; fails where no systemd runs.
systemd() {
  if [ "$(id -u)" = 0 ]; then systemctl "$@"; else systemctl --user "$@"; fi
}
has_systemd() { has systemctl && systemd show-environment >/dev/null 2>&1; }

unit_folder() {
  if [ "$(id -u)" = 0 ]; then say /etc/systemd/system; else say "$HOME/.config/systemd/user"; fi
}

uninstall() {
  program=$1/edge-relay
  unit=$(unit_folder)/edge-relay.service
  say "This removes $program, and its service where there is one."
  if [ -e "$unit" ]; then
    if has_systemd; then systemd disable --now edge-relay.service || true; fi
    rm -f "$unit"
    if has_systemd; then systemd daemon-reload || true; fi
  fi
  rm -f "$program"
  say "Removed. This machine's credentials are kept; remove the edge in the console to end them."
}

install_program() {
  folder=$1
  name=$2
  expected=$3
  mkdir -p "$folder"
  # Beside the program: what is whole takes its place at once, and a program that runs is not written to.
  scratch=$(mktemp -d "$folder/.edge-relay.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  trap 'exit 1' HUP INT TERM
  fetch "$ORIGIN/downloads/$name" "$scratch/download" || fail "cannot fetch $ORIGIN/downloads/$name"
  found=$(hash_of "$scratch/download")
  [ "$found" = "$expected" ] || fail "$name has SHA-256 $found and should have $expected: nothing was installed"
  gzip -dc <"$scratch/download" >"$scratch/edge-relay"
  chmod 755 "$scratch/edge-relay"
  mv -f "$scratch/edge-relay" "$folder/edge-relay"
  rm -rf "$scratch"
  trap - EXIT
  case ":$PATH:" in
    *":$folder:"*) ;;
    *) say "$folder is not in your PATH: edge-relay is $folder/edge-relay for you." ;;
  esac
}

run_service() {
  program=$1
  shift
  "$program" service install "$@"
  systemd daemon-reload
  systemd enable edge-relay.service
  # A service that runs already takes up the new program and the new credentials.
  systemd restart edge-relay.service
  if [ "$(id -u)" != 0 ] && has loginctl && ! loginctl enable-linger 2>/dev/null; then
    say "The service ends when you sign out of this machine. It stays with: sudo loginctl enable-linger $(id -un)"
  fi
  say "It runs. edge-relay status says how it is."
}

main() {
  if [ "$(id -u)" = 0 ]; then folder=/usr/local/bin; else folder=$HOME/.local/bin; fi
  action=install
  service=auto
  code=
  state=
  case "${1-}" in
    '' | -*) ;;
    *)
      code=$1
      shift
      ;;
  esac
  # What is not ours goes around to the end, and so stays in its order.
  count=$#
  while [ "$count" -gt 0 ]; do
    argument=$1
    shift
    count=$((count - 1))
    case "$argument" in
      --uninstall) action=uninstall ;;
      --no-service) service=none ;;
      --foreground) service=foreground ;;
      --help | -h) action=usage ;;
      --dir | --state)
        [ "$count" -gt 0 ] || fail "$argument wants a folder"
        if [ "$argument" = --dir ]; then
          folder=$1
        else
          state=$1
          set -- "$@" --state "$1"
        fi
        shift
        count=$((count - 1))
        ;;
      *) set -- "$@" "$argument" ;;
    esac
  done
  case "$folder" in /*) ;; *) folder=$PWD/$folder ;; esac
  case "$action" in
    usage)
      usage
      return
      ;;
    uninstall)
      uninstall "$folder"
      return
      ;;
  esac

  name=edge-relay-$(platform).gz
  expected=$(say "$FILES" | awk -v name="$name" '$2 == name { print $1 }')
  [ -n "$expected" ] || fail "$ORIGIN has no $name"
  if [ "$service" = auto ]; then
    if has_systemd; then service=systemd; else service=foreground; fi
  fi
  how="unless it is paired"
  [ -z "$code" ] || how="by the code $code"
  say "This will"
  say "  fetch    $ORIGIN/downloads/$name"
  say "           and check its SHA-256, $expected"
  say "  install  $folder/edge-relay"
  say "  pair     this machine with $ORIGIN, $how"
  case "$service" in
    systemd) say "  run      it as a service of systemd, from every start of this machine on" ;;
    foreground) say "  run      it until you press Ctrl-C" ;;
  esac

  install_program "$folder" "$name" "$expected"
  program=$folder/edge-relay
  if [ -n "$code" ] || ! "$program" status ${state:+--state "$state"} >/dev/null 2>&1; then
    # The script itself may be the standard input.
    "$program" pair ${code:+"$code"} --url "$ORIGIN" "$@" </dev/null
  fi
  set -- ${state:+--state "$state"}
  case "$service" in
    systemd) run_service "$program" "$@" ;;
    foreground) exec "$program" run "$@" ;;
    none) say "Run it: $program run" ;;
  esac
}

# All of it has arrived, or nothing of it runs.
main "$@"
