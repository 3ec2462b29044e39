/** How to reach brokers and who one is there. */

export interface TlsOptions {
  /** PEM texts. */
  ca?: string;
  cert?: string;
  key?: string;
  /** Accept any certificate and host name. */
  insecure?: boolean;
}

export type SaslOptions =
  | { mechanism: "plain" | "scram-sha-256" | "scram-sha-512"; username: string; password: string }
  | { mechanism: "oauthbearer"; token: () => Promise<string> };

export interface ClientOptions {
  /** `host:port` each. */
  brokers: readonly string[];
  clientId: string;
  tls?: TlsOptions;
  sasl?: SaslOptions;
  /** Milliseconds; default 10 000. */
  connectTimeout?: number;
  /** Milliseconds; default 30 000. */
  requestTimeout?: number;
}
