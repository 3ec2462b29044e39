/** Version and commit; build.ts replaces both expressions (`define`) when it makes a binary. */
export const version: string = process.env.LOGAGENT_BUILD_VERSION ?? "0.1.0";
export const commit: string = process.env.LOGAGENT_BUILD_COMMIT ?? "dev";
