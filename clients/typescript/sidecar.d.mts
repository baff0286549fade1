import type { Contents, ErrorDetail, Event, Ready, Results } from "./index.d.ts";

export type * from "./index.d.ts";

export class SidecarError extends Error {}

export class SidecarFailure extends SidecarError {
  readonly code: ErrorDetail["code"];
  readonly retryable: boolean;
  readonly field: ErrorDetail["field"];
  readonly artifacts: ErrorDetail["artifacts"];
  readonly detail: ErrorDetail;
}

export class SidecarEnded extends SidecarError {}

export interface Options {
  /** Gets each event; the sidecar is asked for them where this is given. */
  onEvent?: (event: Event) => void;
  env?: Record<string, string | undefined>;
  cwd?: string;
}

/** The content is left out where the message can do without. */
type Given<T extends keyof Contents> = Contents[T] extends { content: infer C } ? [content: C]
  : Contents[T] extends { content?: infer C } ? [content?: C]
  : never;

export class Sidecar {
  readonly ready: Ready;
  static spawn(command?: string[], options?: Options): Promise<Sidecar>;
  /** An aborted signal cancels the request, which is then rejected with code `cancelled`. */
  request<T extends keyof Contents>(
    type: T,
    ...given: [...Given<T>, options?: { signal?: AbortSignal }]
  ): Promise<Results[T]>;
  close(milliseconds?: number): Promise<number | string>;
  kill(): void;
  private constructor();
}
