const secrets = ["LOGAGENT_SASL_PASSWORD", "LOGAGENT_OAUTH_CLIENT_SECRET"];

/** `env` with a stand-in for each secret that is not in it: the service's own environment may hold it, this shell need not. */
export function withAssumedSecrets(env: Record<string, string | undefined>): Record<string, string | undefined> {
  return { ...Object.fromEntries(secrets.map((name) => [name, "unknown here"])), ...env };
}
