/** Splitting by an attribute: the choice of one, and names for what it says. */
import { rows } from "./api.js";
import { h, replace } from "./dom.js";

export const nameOf = (row) => row.slice_value || "(not given)";

/** A select of the attributes that a project's labels carry; hidden while there are none. */
export function slicePicker({ project, slice, choose }) {
  const select = h("select", { "aria-label": "Split by" });
  select.addEventListener("change", () => choose(select.value));
  const element = h("label", { class: "field", hidden: true }, "Split by", select);
  return {
    element,
    async load() {
      const names = (await rows("slice-names", { project })).map((row) => row.slice);
      element.hidden = !names.length && !slice;
      const all = slice && !names.includes(slice) ? [...names, slice] : names;
      if (select.options.length !== all.length + 1) replace(select, h("option", { value: "" }, "nothing"), all.map((name) => h("option", { value: name }, name)));
      select.value = slice;
    },
  };
}
