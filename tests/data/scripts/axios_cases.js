// What axios answers. `node axios_cases.js URL > axios_answers.json` with axios 1 installed has made the answers, which ours
// has to give, too; URL is that of the test's server, and stands in the answers as `URL`.
const axios = require("axios");

// what of an error its users look at
const told = ({ name, message, code, isAxiosError, status, response, config }) => ({
  name, message, code, isAxiosError, status, response: response && { status: response.status, data: response.data }, method: config?.method, url: config?.url?.replace(/^http:\/\/[^/]*/, ""),
});
const failing = async (call) => { try { return { answered: (await call()).status }; } catch (error) { return told(error); } };
const data = async (promise) => (await promise).data;

const cases = (url) => ({
  get: () => data(axios.get(`${url}/a?x=1`, { params: { y: 2 } })),
  config: () => data(axios({ url: `${url}/a`, method: "PUT", data: { a: [1, null, "ü"] }, headers: { "X-A": "b" } })),
  address: () => data(axios(`${url}/a`, { method: "post", data: "text" })),
  request: () => data(axios.request({ url: `${url}/a` })),
  methods: async () => [await data(axios.delete(`${url}/d`)), await data(axios.options(`${url}/o`)), (await axios.head(`${url}/h`)).status, await data(axios.patch(`${url}/p`, { a: 1 }))],
  bodyOfDelete: () => data(axios.delete(`${url}/d`, { data: { a: 1 } })),
  params: () => data(axios.get(`${url}/a#hash`, { params: { list: [1, "b c"], object: { deep: { er: 1 } }, date: new Date(0), none: null, left: undefined, flag: true, sign: "a:b$c,d[e]&f+g h" } })),
  paramsOfOwn: async () => [
    await data(axios.get(`${url}/a`, { params: new URLSearchParams("a=1&a=2") })),
    await data(axios.get(`${url}/a`, { params: { a: [1, 2] }, paramsSerializer: { indexes: null } })),
    await data(axios.get(`${url}/a`, { params: { a: [1, { b: 2 }] }, paramsSerializer: { indexes: true } })),
    await data(axios.get(`${url}/a`, { params: { a: 1 }, paramsSerializer: { serialize: (params) => `own=${params.a}` } })),
  ],
  form: () => data(axios.post(`${url}/a`, new URLSearchParams({ q: "ä b" }))),
  formByHeader: () => data(axios.post(`${url}/a`, { a: 1, b: [1, 2], c: { d: "e f" } }, { headers: { "Content-Type": "application/x-www-form-urlencoded" } })),
  jsonByHeader: () => data(axios.post(`${url}/a`, "text", { headers: { "content-type": "application/json" } })),
  textOfJson: () => data(axios.post(`${url}/a`, '{"a":1}', { headers: { "Content-Type": "application/json" } })),
  bytes: () => data(axios.post(`${url}/a`, new Uint8Array([104, 105]), { headers: { "Content-Type": "application/octet-stream" } })),
  nothing: () => data(axios.post(`${url}/a`)),
  nothingAtAll: () => data(axios.post(`${url}/a`, null)),
  auth: () => data(axios.get(`${url}/a`, { auth: { username: "me", password: "p:w" } })),
  base: async () => [
    await data(axios.get("b", { baseURL: `${url}/a/` })), await data(axios.get("/b", { baseURL: `${url}/a` })), await data(axios.get("", { baseURL: `${url}/a` })),
    await data(axios.get(`${url}/c`, { baseURL: "http://127.0.0.1:1/" })),
  ],
  instance: async () => {
    const one = axios.create({ baseURL: url, headers: { "X-One": "1", common: { "X-Common": "2" }, post: { "X-Post": "3" } }, params: { from: "instance" } });
    one.defaults.headers.common.Authorization = "Bearer t";
    one.defaults.headers.get["X-Get"] = "4";
    return [await data(one.get("/a", { params: { own: 1 }, headers: { "x-one": "5" } })), await data(one.post("/a", {})), one.getUri({ url: "/u", params: { a: 1 } }), axios.defaults.headers.common.Authorization ?? null];
  },
  types: async () => [
    typeof await data(axios.get(`${url}/json`, { responseType: "text" })), (await data(axios.get(`${url}/text`, { responseType: "arraybuffer" }))).byteLength, await data(axios.get(`${url}/text`)),
    await data(axios.get(`${url}/number`)), await data(axios.get(`${url}/empty`)), await failing(() => axios.get(`${url}/text`, { responseType: "json" })),
  ],
  answer: async () => {
    const { data, status, statusText, headers, config } = await axios.get(`${url}/json`);
    return [data, status, statusText, headers["content-type"], headers["x-answer"], headers.get?.("X-Answer"), headers["set-cookie"], config.method, config.url === `${url}/json`, config.headers.Accept, config.headers.get("accept")];
  },
  status: async () => [
    await failing(() => axios.get(`${url}/status/404`)), await failing(() => axios.post(`${url}/status/503`, { a: 1 })), await failing(() => axios.get(`${url}/status/404`, { validateStatus: () => true })),
    await failing(() => axios.get(`${url}/status/500`, { validateStatus: (status) => status < 300 })), await failing(() => axios.get(`${url}/status/304`)), await failing(() => axios.get(`${url}/status/404`, { validateStatus: null })),
  ],
  redirects: async () => [await data(axios.get(`${url}/moved`)), await failing(() => axios.get(`${url}/moved`, { maxRedirects: 0 }))],
  timeout: async () => [await failing(() => axios.get(`${url}/slow`, { timeout: 30 })), await failing(() => axios.get(`${url}/slow`, { timeout: 30, timeoutErrorMessage: "too late" })), await failing(() => axios.get(`${url}/slow`, { timeout: 30, transitional: { clarifyTimeoutError: true } }))],
  abort: async () => {
    const before = new AbortController(), later = new AbortController(), source = axios.CancelToken.source();
    before.abort();
    setTimeout(() => later.abort(), 30);
    setTimeout(() => source.cancel("enough"), 30);
    return [
      await failing(() => axios.get(`${url}/a`, { signal: before.signal })), await failing(() => axios.get(`${url}/slow`, { signal: later.signal })), await failing(() => axios.get(`${url}/slow`, { cancelToken: source.token })),
      await axios.get(`${url}/a`, { signal: before.signal }).catch((error) => [axios.isCancel(error), error instanceof axios.CanceledError, error instanceof axios.AxiosError]),
    ];
  },
  interceptors: async () => {
    const one = axios.create({ baseURL: url }), log = [];
    one.interceptors.request.use((config) => { log.push("first"); config.headers["X-I"] = "1"; return config; });
    one.interceptors.request.use(async (config) => { log.push("second"); config.headers.set("X-J", "2"); return config; });
    const gone = one.interceptors.request.use((config) => { log.push("gone"); return config; });
    one.interceptors.request.eject(gone);
    one.interceptors.request.use((config) => { log.push("never"); return config; }, null, { runWhen: () => false });
    one.interceptors.response.use((response) => { log.push(response.status); return response; }, (error) => { log.push(error.response.status); return { data: "recovered" }; });
    one.interceptors.response.use((response) => response.data);
    return [await one.get("/a"), await one.get("/status/500"), log];
  },
  refusing: async () => {
    const one = axios.create({ baseURL: url });
    one.interceptors.request.use(() => { throw new TypeError("refused"); });
    return [await one.get("/a").catch((error) => `${error.name}: ${error.message}`)];
  },
  transforms: async () => [
    await data(axios.post(`${url}/a`, { a: 1 }, { transformRequest: [(data, headers) => { headers["X-T"] = "t"; return data; }, (data) => `sent ${data.a}`] })),
    await data(axios.get(`${url}/json`, { transformResponse: (text) => text.length })),
    await data(axios.post(`${url}/a`, { a: 1 }, { transformRequest: (data, headers) => { headers.set("Content-Type", "application/own"); return JSON.stringify(data); } })),
    await data(axios.get(`${url}/json`, { transformResponse: axios.defaults.transformResponse.concat((data) => Object.keys(data)) })),
  ],
  helpers: async () => [
    await axios.all([1, Promise.resolve(2)]), axios.spread((a, b) => a + b)([1, 2]), axios.isAxiosError(new Error("x")), axios.isAxiosError(new axios.AxiosError("x", "C")), axios.isCancel({}),
    axios.default === axios, typeof axios.Axios, axios.HttpStatusCode.NotFound, axios.AxiosError.ERR_NETWORK, axios.getUri({ url: "/x", params: { a: [1] } }), new axios.AxiosError("m", "C", { url: "u" }).toJSON().code,
    axios.formToJSON(Object.entries({ "a[b]": "1", c: "2", "d[]": "3" }).reduce((form, [name, value]) => { form.append(name, value); return form; }, new FormData())),
  ],
  headers: () => {
    const headers = new axios.AxiosHeaders({ "X-A": 1 });
    headers.set("x-a", "2").set("B", false);
    return [headers.get("X-a"), headers.has("b"), headers.delete("X-A"), headers.has("x-a"), JSON.stringify(axios.AxiosHeaders.from({ Accept: "x" }))];
  },
  adapter: () => data(axios.get("http://nowhere.example/", { adapter: async (config) => ({ data: `{"method":"${config.method}"}`, status: 200, statusText: "OK", headers: {}, config }) })),
  down: async () => { const { code, isAxiosError, response } = await axios.get("http://127.0.0.1:1/").catch((error) => error); return [typeof code, isAxiosError, response ?? null]; },
});

exports.main = async ({ url }) => {
  const answers = {};
  for (const [name, run] of Object.entries(cases(url))) {
    try { answers[name] = (await run()) ?? null; } catch (error) { answers[name] = `threw ${error.name}: ${error.message}`; }
  }
  return answers;
};
if (process.versions.node) exports.main({ url: process.argv[2] }).then((answers) => console.log(JSON.stringify(answers, null, 1)));
