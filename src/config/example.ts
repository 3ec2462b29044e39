/** What `logagent config init` prints: valid as it is, and valid with every comment sign of a setting taken away. */
export const exampleConfig = `# logagent.yaml: which files go where. Check it with: logagent check logagent.yaml
# Every key is a flag of \`logagent tail\` with _ for -; \${NAME} and \${file:PATH} are replaced in values.

connection:
  brokers: ["\${KAFKA_BROKERS:-localhost:9092}"]
  # tls_ca: /etc/logagent/ca.pem                  # implies tls: true
  # sasl_mechanism: scram-sha-512                 # plain, scram-sha-256, scram-sha-512, oauthbearer
  # sasl_username: logagent
  # sasl_password_file: /etc/logagent/password    # or LOGAGENT_SASL_PASSWORD; never in this file

producer:
  acks: all                # 0, 1 or all
  compression: zstd        # none, gzip, snappy, lz4, zstd
  # linger: 5ms            # 200ms costs less CPU where latency does not matter
  # buffer_memory: 32MiB

delivery: at-least-once    # exactly-once: no line twice; readers need read-committed
# metrics_listen: 127.0.0.1:9464

defaults:                  # for every input that does not say otherwise
  topic: logs
  key: "{path}"            # keeps the lines of a file in order
  # create_topic: "16:3"   # partitions:replication
  # from: beginning        # files of the very first start; default end

inputs:
  syslog: /var/log/syslog  # only a path: the defaults hold
  nginx:
    paths: ["/var/log/nginx/*.log"]
    topic: web
    # exclude: "GET /health"
    # multiline_start: '^\\d{4}-'
    # header: { host: "{host}" }
`;
