/** Completion scripts. Each holds a table of what may follow which command; nothing runs while completing. */
import { type Flag, flagName } from "../../config/flag.ts";
import type { Command, Group } from "../define.ts";

interface Entry {
  /** `topics list`; "" is the top level. */
  path: string;
  /** Subcommands with their descriptions. */
  subs: [string, string][];
  flags: [string, Flag][];
}

export async function completionScript(shell: "bash" | "zsh" | "fish"): Promise<string> {
  const { default: root } = await import("../index.ts");
  const entries = await collect("", root);
  return { bash, zsh, fish }[shell](entries);
}

async function collect(path: string, target: Command | Group): Promise<Entry[]> {
  if (target.kind === "command") return [{ path, subs: [], flags: Object.entries(target.spec.flags) }];
  const subs = Object.entries(target.subCommands);
  const own: Entry = { path, subs: subs.map(([name, sub]) => [name, sub.description]), flags: [] };
  const below = await Promise.all(
    subs.map(async ([name, sub]) => collect(`${path} ${name}`.trim(), (await sub.load()).default)),
  );
  return [own, ...below.flat()];
}

function words({ subs, flags }: Entry): string {
  return [...subs.map(([name]) => name), ...flags.map(([key]) => `--${flagName(key)}`), "--help"].join(" ");
}

/** `--flag` and `-f` of the flags whose values are one of a list. */
function choices(flags: [string, Flag][]): { names: string[]; options: string }[] {
  return flags
    .filter(([, flag]) => flag.type === "choice")
    .map(([key, flag]) => ({
      names: [`--${flagName(key)}`, ...(flag.alias ? [`-${flag.alias}`] : [])],
      options: flag.options!.join(" "),
    }));
}

function bash(entries: Entry[]): string {
  const wordCases = entries.map((entry) => `    "${entry.path}") words="${words(entry)}" ;;`);
  const valueCases = entries.flatMap(({ path, flags }) =>
    choices(flags).map(
      ({ names, options }) => `    ${names.map((name) => `"${path} ${name}"`).join("|")}) words="${options}" ;;`,
    ),
  );
  const groups = entries.filter(({ subs }) => subs.length > 0).map(({ path }) => `"${path}"`);
  return `# bash completion for logagent
_logagent() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} path="" words="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path" in ${groups.join("|")}) ;; *) break ;; esac
    case "\${COMP_WORDS[i]}" in -*) ;; *) path="\${path:+$path }\${COMP_WORDS[i]}" ;; esac
  done
  case "$path $prev" in
${valueCases.join("\n")}
  esac
  if [ -z "$words" ]; then
    case "$path" in
${wordCases.join("\n")}
    esac
    case "$cur" in -*) ;; *) [ -n "$path" ] && [[ "$words" == --* ]] && words="" ;; esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  if [ -z "$words" ]; then COMPREPLY=($(compgen -f -- "$cur")); fi
}
complete -o filenames -F _logagent logagent
`;
}

function zsh(entries: Entry[]): string {
  const cases = entries.map(({ path, subs, flags }) => {
    const lines =
      subs.length > 0
        ? [
            `      local -a subs=(${subs.map(([name, text]) => quote(`${name}:${text.replaceAll(":", "\\:")}`)).join(" ")})`,
            "      _describe command subs",
          ]
        : [`      _arguments ${[...flags.map(zshFlag), quote("*:file:_files")].join(" ")}`];
    return `    ${quote(path)})\n${lines.join("\n")}\n      ;;`;
  });
  const groups = entries.filter(({ subs }) => subs.length > 0).map(({ path }) => quote(path));
  return `#compdef logagent
_logagent() {
  local at="" i
  for ((i = 2; i < CURRENT; i++)); do
    case "$at" in ${groups.join("|")}) ;; *) break ;; esac
    case "\${words[i]}" in -*) ;; *) at="\${at:+$at }\${words[i]}" ;; esac
  done
  case "$at" in
${cases.join("\n")}
  esac
}
# Autoloaded from fpath, or sourced.
if [ "$funcstack[1]" = _logagent ]; then _logagent "$@"; else compdef _logagent logagent; fi
`;
}

function zshFlag([key, flag]: [string, Flag]): string {
  const text = flag.description.replace(/[[\]:\\]/g, (c) => `\\${c}`);
  const value = flag.type === "boolean" ? "" : flag.options ? `:value:(${flag.options.join(" ")})` : ":value:_files";
  return quote(`${flag.multiple ? "*" : ""}--${flagName(key)}[${text}]${value}`);
}

function fish(entries: Entry[]): string {
  const lines = entries.flatMap(({ path, subs, flags }) => {
    const condition = `-n ${quote(`__logagent_at ${quote(path)}`)}`;
    return [
      ...subs.map(([name, text]) => `complete -c logagent -f ${condition} -a ${name} -d ${quote(text)}`),
      ...flags.map(([key, flag]) => {
        const short = flag.alias ? ` -s ${flag.alias}` : "";
        const value = flag.type === "boolean" ? "" : flag.options ? ` -x -a ${quote(flag.options.join(" "))}` : " -r";
        return `complete -c logagent ${condition} -l ${flagName(key)}${short}${value} -d ${quote(flag.description)}`;
      }),
    ];
  });
  const groups = entries.filter(({ subs }) => subs.length > 0).map(({ path }) => quote(path));
  return `# fish completion for logagent
function __logagent_at
  set -l path
  for word in (commandline -opc)[2..]
    contains -- "$path" ${groups.join(" ")}; or break
    string match -q -- '-*' $word; or set path (string trim "$path $word")
  end
  test "$path" = "$argv[1]"
end
${lines.join("\n")}
`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
