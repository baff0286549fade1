// Made from protocol/schema by `sidecar schema --out protocol/schema`; not edited by hand.

/** The program that ran the job. */
export interface ApplicationContext {
  version: string;
}

/** The program that ran the job. */
export interface ApplicationContext06 {
  name: string;
  version: string;
}

/** Fields are named as Playwright's; what is absent is as the browser has it. */
export interface BrowserContextOptions {
  viewport?: Viewport | null;
  user_agent?: string | null;
  locale?: string | null;
  timezone_id?: string | null;
  proxy?: Proxy | null;
  extra_http_headers?: Record<string, string> | null;
  http_credentials?: HttpCredentials | null;
  ignore_https_errors?: boolean;
  block?: Array<"stylesheet" | "image" | "media" | "font" | "script" | "texttrack" | "xhr" | "fetch" | "eventsource" | "websocket" | "manifest" | "other">;
  java_script_enabled?: boolean;
  color_scheme?: "light" | "dark" | "no-preference" | null;
  device_scale_factor?: number | null;
  is_mobile?: boolean;
  has_touch?: boolean;
  geolocation?: Geolocation | null;
  permissions?: Array<"geolocation" | "notifications" | "clipboard-read" | "clipboard-write" | "camera" | "microphone" | "midi" | "background-sync" | "accelerometer" | "gyroscope" | "magnetometer" | "storage-access">;
}

/** Stops a request that is still in flight. */
export interface Cancel {
  id: number | string;
}

/** Content of the reply to `cancel_job`. */
export interface CancelledJob {
  cancelled: boolean;
  status: "pending" | "success" | "failed" | "cancelled";
}

/** The body of a webhook whose format is `cloudevents`: CloudEvents 1.0, structured. */
export interface CloudEvent {
  specversion?: "1.0";
  id: string;
  source: string;
  type?: "com.snowplowanalytics.factotum.job_update";
  subject: string;
  time: string;
  datacontenttype?: "application/json";
  dataschema?: "iglu:com.snowplowanalytics.factotum/job_update/jsonschema/1-0-0";
  data: JobUpdate;
}

/** A cookie set before the first step. Source: Tourist. */
export interface Cookie {
  name: string;
  value: string;
  domain: string;
  path?: string;
  expires?: number | null;
  httpOnly?: boolean;
  secure?: boolean;
  sameSite?: "None" | "Lax" | "Strict" | null;
}

/** Content of `create_schedule`. */
export interface CreateSchedule {
  name: string;
  enabled: boolean;
  trigger: Trigger;
  push: Push;
}

/**
 * Content of `create_task`: `script` or `job`, one of them, and `interval` or `cron`, one of them.
 *
 * With the name of a script and neither of the latter, its configuration file has what is not given here.
 */
export interface CreateTask {
  id?: string | null;
  script?: string | null;
  job?: Record<string, unknown> | null;
  running?: boolean;
  config?: Record<string, unknown>;
  init?: string | null;
  end?: string | null;
  interval?: number | string | null;
  cron?: string | null;
  zone?: string | null;
}

/** One RT-CV server and the key to it. Source: RT-CV scraper client v1. */
export interface Credentials {
  server_location?: string;
  api_key_id?: string;
  api_key?: string;
  primary?: boolean;
  name?: string;
  results_path?: string;
}

/** Content of the reply to `list_deliveries`. */
export interface Deliveries {
  total_count: number;
  total_pages: number;
  page: number;
  deliveries: Array<Delivery>;
}

/** One delivery that has not arrived. */
export interface Delivery {
  id: string;
  endpoint: string;
  host: string;
  kind: "webhook" | "result" | "cv" | "full_cv" | "cvs_list" | "push";
  status: "waiting" | "dead";
  run: string;
  size: number;
  created: string;
  attempts: number;
  next_attempt?: string | null;
  error?: string | null;
}

/** Content of the event `delivery_failed`: after a delivery's first failed attempt, and when it is dead. */
export interface DeliveryFailed {
  server: string;
  endpoint: string;
  id: string;
  kind: "webhook" | "result" | "cv" | "full_cv" | "cvs_list" | "push";
  status: "waiting" | "dead";
  attempts: number;
  error: ErrorDetail;
}

/** A file that an action fetched: base64 in `content`, or its `path` where `artifacts` is `files`. */
export interface Download {
  name: string;
  size: number;
  content?: string | null;
  path?: string | null;
}

/** Failed: `content` is the plain sentence that v1 parents read, `error` the typed form of the same. */
export interface Error {
  type: "error";
  content: string;
  error: ErrorDetail;
  id?: number | string;
}

/** Why a request failed. Clients branch on these; sentences may change, codes do not. */
export type ErrorCode = "parse_error" | "invalid_request" | "unknown_type" | "invalid_content" | "line_too_long" | "missing_credentials" | "unauthorized" | "forbidden" | "not_found" | "conflict" | "limit_exceeded" | "queue_full" | "timeout" | "cancelled" | "navigation_failed" | "action_failed" | "browser_unavailable" | "browser_crashed" | "remote_error" | "remote_unreachable" | "not_recorded" | "shutting_down" | "internal";

/** The typed form of an error, sent in addition to the sentence that v1 parents read. */
export interface ErrorDetail {
  code: ErrorCode;
  message: string;
  retryable: boolean;
  hint?: string | null;
  field?: string | null;
  fields?: Array<FieldError> | null;
  url?: string | null;
  status?: number | null;
  step?: string | null;
  action?: string | null;
  title?: string | null;
  artifacts?: Record<string, string> | null;
  extract?: Record<string, unknown> | null;
  console?: Array<string> | null;
  number?: number | null;
  output?: Array<string> | null;
  stack?: Array<string> | null;
}

/** Something that happened and answers no request; `id` is the request it belongs to, if any. */
export interface Event {
  type: "event";
  event: "job_update" | "progress" | "schedule_fired" | "task_run" | "delivery_failed";
  content: unknown;
  id?: number | string;
}

/** One value, or a list of them, taken from the page. */
export interface Field {
  selector: string;
  attribute?: string | null;
  all?: boolean;
  fields?: Record<string, string | Field> | null;
  type?: "text" | "number" | "date" | "url" | "table";
  required?: boolean;
  default?: unknown;
  decimal?: "." | "," | null;
  order?: "dmy" | "mdy" | null;
}

/** One wrong place in a content. */
export interface FieldError {
  field: string;
  message: string;
}

/** The form in which a result is forwarded. */
export interface ForwardAs {
  as?: "cv" | "result";
}

/** The device's location, which pages see if the permission `geolocation` is granted. */
export interface Geolocation {
  latitude: number;
  longitude: number;
  accuracy?: number;
}

/** The parent's options in addition to v1's behaviour. */
export interface Hello {
  notifications?: boolean;
  zone?: string;
}

/** The sidecar's version and capabilities. */
export interface HelloReply {
  version: string;
  protocol: string;
  message_types: Array<string>;
  limits: Limits;
  browsers: Record<string, string>;
}

/** The answer to a server that asks for HTTP authentication. */
export interface HttpCredentials {
  username: string;
  password: string;
  origin?: string | null;
}

/** Content of `issue_token`. */
export interface IssueToken {
  scope: string;
  issuer_token: string;
  validity?: number | string;
  strict?: boolean;
  strict_resources?: boolean;
}

/** Content of the reply to `issue_token`. */
export interface IssuedToken {
  token: string;
}

/** Content of `job_status` and `cancel_job`. */
export interface JobId {
  id: string;
}

/** Content of the reply to `send_job`. */
export interface JobReply {
  status: "success" | "skipped";
  result?: JobResult | null;
}

/** The result of a job. Files are base64, or paths if `artifacts` is `files`. */
export interface JobResult {
  steps: Array<StepResult>;
  video?: string | null;
  messages?: Array<string> | null;
  har?: string | null;
  trace?: string | null;
  downloads?: Array<Download> | null;
  screenshot?: string | null;
  pdf?: string | null;
  html?: string | null;
  extract?: Record<string, unknown> | null;
}

/** Content of the reply to `send_job` with mode `async`. */
export interface JobScheduled {
  id: string;
  status?: "scheduled";
}

/** The state of one job. Also the content of the reply to `job_status`. */
export interface JobState {
  id: string;
  status: "pending" | "success" | "failed" | "cancelled";
  type: string;
  name?: string;
  origin?: string;
  submitted?: string;
  started?: string;
  ended?: string;
  attempts?: number;
  progress?: number;
  result?: unknown | null;
  outcome?: "skipped" | null;
  result_dropped?: boolean;
  error?: ErrorDetail | null;
}

/** The run's previous state, null at its start, and its current one. */
export interface JobTransition {
  previousState: "WAITING" | "RUNNING" | "SUCCEEDED" | "FAILED" | null;
  currentState: "WAITING" | "RUNNING" | "SUCCEEDED" | "FAILED";
}

/** The state of a run at one moment. */
export interface JobUpdate {
  jobName: string;
  jobReference: string;
  runReference: string;
  factfile: string;
  applicationContext: ApplicationContext;
  runState: "WAITING" | "RUNNING" | "COMPLETED" | "FAILED";
  startTime: string;
  runDuration: string;
  taskStates: Array<TaskState>;
}

/** Sent where the run's state changes. */
export interface JobUpdate06 {
  jobName: string;
  jobReference: string;
  runReference: string;
  factfile: string;
  applicationContext: ApplicationContext06;
  tags: Record<string, string>;
  runState: "WAITING" | "RUNNING" | "SUCCEEDED" | "FAILED";
  startTime: string;
  runDuration: string;
  taskStates: Array<TaskState06>;
  jobTransition: JobTransition;
}

/** Content of the reply to `list_jobs`: pages of 50, newest first, without results. */
export interface Jobs {
  total_count: number;
  total_pages: number;
  page: number;
  jobs: Array<JobState>;
}

/** The limits, as `hello` returns them. */
export interface Limits {
  max_line_bytes: number;
  max_in_flight: number;
  max_nesting: number;
}

/** Content of `list_deliveries`. */
export interface ListDeliveries {
  status?: "waiting" | "dead" | null;
  page?: number;
}

/** Content of `list_jobs`. */
export interface ListJobs {
  status?: "pending" | "success" | "failed" | "cancelled" | null;
  page?: number;
}

/** Content of `list_schedules`. */
export interface ListSchedules {
  page?: number;
  expired?: boolean;
}

/** Content of `list_task_runs`. */
export interface ListTaskRuns {
  id: string;
  page?: number;
}

/** Content of `list_tasks`: tasks whose fields are as given; of objects, the members that are given. */
export interface ListTasks {
  id?: string | null;
  script?: string | null;
  job?: Record<string, unknown> | null;
  running?: boolean | null;
  config?: Record<string, unknown> | null;
  init?: string | null;
  end?: string | null;
  interval?: number | string | null;
  cron?: string | null;
  zone?: string | null;
  page?: number;
}

/** Page margins: numbers of pixels, or CSS lengths with a unit. */
export interface Margin {
  top?: number | string;
  right?: number | string;
  bottom?: number | string;
  left?: number | string;
}

/** Mock mode as v1.0 had it: `set_credentials` with a `mock` in the place of a server. */
export interface MockLogin {
  mock: MockOptions;
}

/** Answers of mock mode, where nothing is sent and nothing is kept. */
export interface MockOptions {
  secrets?: Record<string, unknown> | null;
  cv_matches?: boolean;
}

/** Done. There is no `content` where there is nothing to say. */
export interface Ok {
  type: "ok";
  content?: unknown;
  id?: number | string;
}

/** Options of the PDF, as in Tourist; every field has its default and limit. */
export interface PdfOptions {
  media?: "screen" | "print";
  format?: "Letter" | "Legal" | "Tabloid" | "Ledger" | "A0" | "A1" | "A2" | "A3" | "A4" | "A5" | "A6" | null;
  landscape?: boolean;
  background?: boolean;
  margin?: Margin;
  size?: Size;
  js?: boolean;
  delay?: number | string;
  scale?: number;
}

/** Answer to `ping`. */
export interface Pong {
  type: "pong";
  id?: number | string;
}

/** The content of the event `progress`: a step begins, or the run has succeeded. */
export interface Progress {
  run: string;
  name?: string | null;
  step: number;
  steps: number;
  percentage: number;
}

/** The proxy that all requests of the job go through. */
export interface Proxy {
  server: string;
  bypass?: string | null;
  username?: string | null;
  password?: string | null;
}

/** A message that can run without a parent that waits for the reply. */
export interface Push {
  type: string;
  content?: unknown;
}

/** The first line, written before anything is read. */
export interface Ready {
  type: "ready";
  content?: string;
  protocol: string;
  version: string;
  pid: number;
}

/** Content of `redeliver`. */
export interface Redeliver {
  id: string;
  endpoint?: string | null;
}

/** Content of the reply to `run_task` and `test_task`; a run that failed is an error. */
export interface RunTaskReply {
  status: "success";
  result: unknown;
  run?: string | null;
  duration_ms: number;
  output: Array<string>;
}

/** One schedule, as `get_schedule`, `update_schedule` and `list_schedules` show it. */
export interface Schedule {
  schedule_id: string;
  name: string;
  enabled: boolean;
  trigger: Trigger;
  push: Push;
  status: "pending" | "paused" | "fired" | "missed";
  due: string;
  error?: ErrorDetail | null;
}

/** Content of the reply to `create_schedule`. */
export interface ScheduleCreated {
  schedule_id: string;
  name: string;
}

/** Content of the event `schedule_fired`. */
export interface ScheduleFired {
  schedule_id: string;
  name: string;
  due: string;
  msgid: string;
}

/** Content of `get_schedule`, `delete_schedule` and `get_schedule_msg_ids`. */
export interface ScheduleId {
  schedule_id: string;
}

/** Content of the reply to `get_schedule_msg_ids`: the jobs that a schedule made, for `job_status`. */
export interface ScheduleMsgIds {
  count: number;
  msgids: Array<string>;
}

/** Content of the reply to `list_schedules`: at most 50, the oldest first. */
export interface SchedulePage {
  total_count: number;
  total_pages: number;
  page: number;
  schedules: Array<Schedule>;
}

/** Names a secret. Source: RT-CV scraper client v1. */
export interface SecretRequest {
  key?: string;
  encryption_key?: string;
}

/** A secret of the primary server, fetched when the job starts. */
export interface SecretSource {
  key: string;
  encryption_key: string;
}

/** The body of a webhook whose format is `factotum`, and the content of the event `job_update`. */
export interface SelfDescribing {
  schema?: "iglu:com.snowplowanalytics.factotum/job_update/jsonschema/1-0-0";
  data: JobUpdate;
}

/** The body of a webhook whose format is `factotum-0.6`. */
export interface SelfDescribing06 {
  schema: "iglu:com.snowplowanalytics.factotum/job_update/jsonschema/1-0-0" | "iglu:com.snowplowanalytics.factotum/task_update/jsonschema/1-0-0";
  data: JobUpdate06 | TaskUpdate06;
}

/** A CV whose document is a PDF. Source: later versions of the RT-CV scraper client. */
export interface SendFullCv {
  metadata: unknown;
  cv: string;
  content_type?: string;
  filename?: string;
}

/** Content of `send_job`. */
export interface SendJob {
  steps: Array<Step>;
  name?: string | null;
  mode?: "sync" | "async";
  key?: string | null;
  retries?: number;
  browser?: "CHROMIUM" | "FIREFOX" | "WEBKIT";
  cookies?: Array<Cookie>;
  options?: Array<"RECORD" | "SCREENSHOT" | "PDF" | "READ_ALERTS" | "HTML" | "HAR" | "TRACE">;
  pdf?: PdfOptions;
  context?: BrowserContextOptions | null;
  profile?: string | null;
  secrets?: Record<string, SecretSource> | null;
  fail_on_status?: boolean;
  reference_number?: string | null;
  forward?: boolean | ForwardAs;
  webhooks?: Array<string>;
  artifacts?: "inline" | "files";
  on_failure?: Array<"SCREENSHOT" | "HTML" | "TRACE"> | null;
  token?: string | null;
  timeout_ms?: number | string;
}

/** A single point in time. */
export interface Single {
  time: string;
  zone_type: number;
  zone?: string | null;
}

/** Page size; `format` goes before it. */
export interface Size {
  width?: number | string | null;
  height?: number | string | null;
}

/** One page to visit, with its actions and extract. */
export interface Step {
  url: string;
  name?: string | null;
  actions?: Array<string | Record<string, unknown>>;
  extract?: Record<string, string | Field> | null;
  wait_until?: "load" | "domcontentloaded" | "networkidle" | "commit";
  timeout_ms?: number | string;
  fail_on_status?: boolean | null;
}

/** The result of one step. */
export interface StepResult {
  name: string;
  url: string;
  status: number | null;
  title: string;
  duration_ms: number;
  values: Array<unknown>;
  console: Array<string>;
  errors: Array<string>;
}

/** One task, as `create_task`, `get_task`, `update_task` and `list_tasks` show it. */
export interface Task {
  id: string;
  script?: string | null;
  job?: Record<string, unknown> | null;
  running: boolean;
  config: Record<string, unknown>;
  init: string;
  end?: string | null;
  interval?: number | null;
  every?: string | null;
  cron?: string | null;
  zone?: string | null;
  created: string;
  warnings?: Array<string>;
}

/** Content of the reply to `list_tasks`: at most 50, the oldest first. */
export interface TaskPage {
  total_count: number;
  total_pages: number;
  page: number;
  tasks: Array<Task>;
}

/** Content of `get_task`, `delete_task`, `get_task_status`, `run_task`, `start_task` and `stop_task`. */
export interface TaskRef {
  id: string;
}

/** One run of a task, as `list_task_runs` and the event `task_run` show it. */
export interface TaskRun {
  run: string;
  task: string;
  trigger: "interval" | "cron" | "manual" | "schedule";
  status: "running" | "success" | "failed" | "cancelled";
  due?: string | null;
  started: string;
  duration_ms?: number | null;
  result?: unknown;
  error?: ErrorDetail | null;
  output?: Array<string>;
  cut?: boolean;
}

/** Content of the reply to `list_task_runs`: the last 50, the latest first. */
export interface TaskRunPage {
  total_count: number;
  total_pages: number;
  page: number;
  runs: Array<TaskRun>;
}

/** The state of one step. */
export interface TaskState {
  taskName: string;
  state: "WAITING" | "RUNNING" | "COMPLETED" | "FAILED" | "SKIPPED";
  started?: string | null;
  duration?: string | null;
  stdout?: string | null;
  stderr?: string | null;
  returnCode?: number | null;
  error_message?: string | null;
}

/** The state of one step; its members mean the same as in `job_update`. */
export interface TaskState06 {
  taskName: string;
  state: "WAITING" | "RUNNING" | "SUCCEEDED" | "SUCCEEDED_NO_OP" | "FAILED" | "SKIPPED";
  started?: string | null;
  duration?: string | null;
  stdout?: string | null;
  stderr?: string | null;
  returnCode?: number | null;
  errorMessage?: string | null;
}

/** Content of the reply to `get_task_status`, `start_task` and `stop_task`. */
export interface TaskStatus {
  id: string;
  running: boolean;
  busy: boolean;
  next_execution: string | null;
  last_run: TaskRun | null;
  runs: number;
  failed: number;
  skipped: number;
  coalesced: number;
}

/** A step's previous state, and its current one. */
export interface TaskTransition {
  taskName: string;
  previousState: "WAITING" | "RUNNING" | "SUCCEEDED" | "SUCCEEDED_NO_OP" | "FAILED" | "SKIPPED";
  currentState: "WAITING" | "RUNNING" | "SUCCEEDED" | "SUCCEEDED_NO_OP" | "FAILED" | "SKIPPED";
}

/** Sent where steps' states change. */
export interface TaskUpdate06 {
  jobName: string;
  jobReference: string;
  runReference: string;
  factfile: string;
  applicationContext: ApplicationContext06;
  tags: Record<string, string>;
  runState: "WAITING" | "RUNNING" | "SUCCEEDED" | "FAILED";
  startTime: string;
  runDuration: string;
  taskStates: Array<TaskState06>;
  taskTransitions: Array<TaskTransition>;
}

/** Content of `test_task`: a script that is run once and not kept. */
export interface TestTask {
  script_text: string;
  config?: Record<string, unknown>;
}

/** The trigger of a schedule. */
export interface Trigger {
  single: Single;
}

/** Content of `update_schedule`: what is given is replaced as a whole. */
export interface UpdateSchedule {
  schedule_id: string;
  name?: string;
  enabled?: boolean;
  trigger?: Trigger;
  push?: Push;
}

/**
 * Content of `update_task`: what is given is replaced as a whole.
 *
 * A script and a job take each other's place, so do `interval` and `cron`.
 */
export interface UpdateTask {
  id: string;
  script?: string;
  job?: Record<string, unknown>;
  running?: boolean;
  config?: Record<string, unknown>;
  init?: string;
  end?: string | null;
  interval?: number | string;
  cron?: string;
  zone?: string;
}

/** The strict shape of a login; extra members are dropped. */
export interface UserSecret {
  username: string;
  password: string;
}

/** The window's inner size. */
export interface Viewport {
  width: number;
  height: number;
}

/** An endpoint that gets updates of every run. */
export interface Webhook {
  url: string;
  secret?: string | Array<string> | null;
  format?: "factotum" | "factotum-0.6" | "cloudevents";
  max_stdouterr_size?: number | null;
}

/** Content of the reply to `set_webhooks`. */
export interface WebhooksReply {
  endpoints: Array<string>;
}

/** Message type -> its content. */
export interface Contents {
  cancel: { content: Cancel };
  cancel_job: { content: JobId };
  create_schedule: { content: CreateSchedule };
  create_task: { content: CreateTask };
  delete_schedule: { content: ScheduleId };
  delete_task: { content: TaskRef };
  get_schedule: { content: ScheduleId };
  get_schedule_msg_ids: { content: ScheduleId };
  get_secret: { content: SecretRequest };
  get_task: { content: TaskRef };
  get_task_status: { content: TaskRef };
  get_user_secret: { content: SecretRequest };
  get_users_secret: { content: SecretRequest };
  has_cached_reference: { content: string };
  hello: { content?: Hello };
  issue_token: { content: IssueToken };
  job_status: { content: JobId };
  list_deliveries: { content?: ListDeliveries };
  list_jobs: { content?: ListJobs };
  list_schedules: { content?: ListSchedules };
  list_task_runs: { content: ListTaskRuns };
  list_tasks: { content?: ListTasks };
  ping: { content?: unknown };
  redeliver: { content: Redeliver };
  run_task: { content: TaskRef };
  send_cv: { content: Record<string, unknown> };
  send_cvs_list: { content: Array<Record<string, unknown>> };
  send_full_cv: { content: SendFullCv };
  send_job: { content: SendJob };
  set_cached_reference: { content: string };
  set_credentials: { content: Credentials | MockLogin | Array<Credentials> };
  set_mock: { content?: MockOptions };
  set_multiple_credentials: { content: Array<Credentials> };
  set_short_cached_reference: { content: string };
  set_webhooks: { content: Array<Webhook> };
  start_task: { content: TaskRef };
  stop_task: { content: TaskRef };
  test_task: { content: TestTask };
  update_schedule: { content: UpdateSchedule };
  update_task: { content: UpdateTask };
}

/** A line that the parent writes. */
export type Request = {
  [T in keyof Contents]: { type: T; id?: number | string } & Contents[T];
}[keyof Contents];

/** Message type -> the content of its `ok`; null: it has none. */
export interface Results {
  hello: HelloReply;
  ping: null;
  cancel: boolean;
  set_credentials: null;
  set_multiple_credentials: null;
  set_mock: null;
  get_secret: unknown;
  get_users_secret: Array<UserSecret>;
  get_user_secret: UserSecret;
  set_cached_reference: null;
  set_short_cached_reference: null;
  has_cached_reference: boolean;
  send_cv: boolean | null;
  send_full_cv: boolean | null;
  send_cvs_list: {
    sent: number;
    duplicates: number;
    without_reference: number;
  };
  send_job: JobReply | JobScheduled;
  job_status: JobState;
  list_jobs: Jobs;
  cancel_job: CancelledJob;
  create_schedule: ScheduleCreated;
  list_schedules: SchedulePage;
  get_schedule: Schedule;
  update_schedule: Schedule;
  delete_schedule: null;
  get_schedule_msg_ids: ScheduleMsgIds;
  create_task: Task;
  list_tasks: TaskPage;
  get_task: Task;
  update_task: Task;
  delete_task: null;
  get_task_status: TaskStatus;
  run_task: RunTaskReply;
  start_task: TaskStatus;
  stop_task: TaskStatus;
  test_task: RunTaskReply;
  list_task_runs: TaskRunPage;
  set_webhooks: WebhooksReply;
  list_deliveries: Deliveries;
  redeliver: null;
  issue_token: IssuedToken;
}

/** A line that the parent reads. */
export type Reply = Ready | Ok | Pong | Error | Event;

export type DocumentCloudevent = CloudEvent;

export type DocumentDeliveryFailed = DeliveryFailed;

export type DocumentFactotum06 = SelfDescribing06;

export type DocumentJobUpdate = SelfDescribing;

export type DocumentProgress = Progress;

export type DocumentScheduleFired = ScheduleFired;

export type DocumentTaskRun = TaskRun;
