package policies

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// FindingCode names one thing in a document by which what is seen may come to
// differ from what is signed. Like a Code it is stable once published.
type FindingCode string

// What an inspection can find.
const (
	FindingXFA                FindingCode = "xfa"                   // an XFA form beside the pages
	FindingXFADynamic         FindingCode = "xfa_dynamic"           // the pages only say "please wait": XFA draws the document
	FindingJavaScriptOpen     FindingCode = "javascript_open"       // a script that runs without being asked
	FindingJavaScriptForm     FindingCode = "javascript_form"       // a script that a form field or a link runs
	FindingActionOpen         FindingCode = "action_open"           // anything but navigation when it opens, turns a page, prints or closes
	FindingActionLaunch       FindingCode = "action_launch"         // starts a program or opens a file
	FindingActionSubmit       FindingCode = "action_submit"         // sends the form's data
	FindingActionImport       FindingCode = "action_import"         // fills the form from elsewhere
	FindingActionHide         FindingCode = "action_hide"           // shows or hides fields, annotations or layers
	FindingActionURI          FindingCode = "action_uri"            // a link that is neither web, mail nor telephone
	FindingActionOther        FindingCode = "action_other"          // an action of an unknown kind
	FindingMedia              FindingCode = "media"                 // sound, film, 3D or rich media
	FindingCollection         FindingCode = "collection"            // a portfolio: viewers show its files instead of its pages
	FindingAttachments        FindingCode = "attachments"           // embedded files
	FindingExternalContent    FindingCode = "external_content"      // data or pages that stand in other files
	FindingAlternateContent   FindingCode = "alternate_content"     // another image for printing, another page by template
	FindingLayers             FindingCode = "layers"                // optional content, all of it shown
	FindingLayersHidden       FindingCode = "layers_hidden"         // optional content that is not shown at first
	FindingLayersAutomatic    FindingCode = "layers_automatic"      // shown or not by the occasion: view, print, export, zoom, language
	FindingLayersAlternate    FindingCode = "layers_alternate"      // several configurations
	FindingHybrid             FindingCode = "hybrid"                // a cross-reference for old readers and another for new ones
	FindingHybridDiffers      FindingCode = "hybrid_differs"        // the two show different objects
	FindingObjectsDuplicate   FindingCode = "objects_duplicate"     // readers may take one of two objects for the same
	FindingObjectsUnlisted    FindingCode = "objects_unlisted"      // objects in no cross-reference
	FindingObjectsSpare       FindingCode = "objects_spare"         // pages or catalogues that nothing refers to
	FindingFieldDiffers       FindingCode = "field_differs"         // a field shows something else than its value
	FindingFieldUndrawn       FindingCode = "field_undrawn"         // a field has a value and no appearance
	FindingFieldFormatted     FindingCode = "field_formatted"       // a field shows its value as a script has written it
	FindingNeedAppearances    FindingCode = "need_appearances"      // each viewer draws the fields anew
	FindingAnnotationCovers   FindingCode = "annotation_covers"     // an annotation or field lies over what the page says
	FindingAnnotationHidden   FindingCode = "annotation_hidden"     // seen only on the screen, or only on paper
	FindingRedactionPending   FindingCode = "redaction_pending"     // marked for redaction, but still there
	FindingSignatureInvisible FindingCode = "signature_invisible"   // a signature field without size
	FindingSignatureOffPage   FindingCode = "signature_off_page"    // a signature field that no page shows
	FindingSignatureMalformed FindingCode = "signature_malformed"   // an earlier signature does not cover what it claims
	FindingSignatureBroken    FindingCode = "signature_broken"      // changed after a signature beyond what that permits
	FindingSignatureExtended  FindingCode = "signature_extended"    // changed after a signature as that permits, in a way one sees
	FindingUsageRights        FindingCode = "usage_rights"          // rights for Adobe's reader, void after any signature of ours
	FindingPlaceholder        FindingCode = "signature_placeholder" // looks like the hole of a signing library
	FindingRevisionsChanged   FindingCode = "revisions_changed"     // an earlier unsigned revision showed something else
	FindingRevisions          FindingCode = "revisions"             // several revisions that show the same
	FindingInflation          FindingCode = "inflation"             // data that grow beyond all proportion
	FindingIncomplete         FindingCode = "inspection_incomplete" // not everything could be looked at within the limits
	FindingUnreadable         FindingCode = "inspection_unreadable" // a part that cannot be read, though the whole can
)

// Verdict is what to do about a finding.
type Verdict string

// The verdicts.
const (
	VerdictRefuse Verdict = "refuse" // the document is not signed
	VerdictWarn   Verdict = "warn"   // the citizen and the back end are told
	VerdictAllow  Verdict = "allow"
)

// Finding is one thing found.
type Finding struct {
	Code FindingCode `json:"code"`
	// Where is for operators: "page 3", "object 12 0", "field Total".
	Where string `json:"where,omitempty"`
	// Params are further facts; they hold nothing of the document's text.
	Params map[string]string `json:"params,omitempty"`
}

// DocumentRule is the judgement of one kind of finding, and why.
type DocumentRule struct {
	Code    FindingCode
	Verdict Verdict
	Source  string
}

// Where the rules on documents come from.
const (
	SourceActions  = "ISO 19005-1, 6.6.1"
	SourceTriggers = "ISO 19005-1, 6.6.2"
	SourceForms    = "ISO 19005-1, 6.9; ISO 32000-2, 12.7.4.3"
	SourceXFA      = "ISO 32000-2, 12.7.8"
	SourceLayers   = "ISO 32000-2, 8.11; Mainka, Mladenov, Rohlmann, «Shadow Attacks», NDSS 2021"
	SourceShadow   = "Mainka, Mladenov, Rohlmann, «Shadow Attacks», NDSS 2021"
	SourceSpoofing = "Mladenov et al., «1 Trillion Dollar Refund», CCS 2019"
	SourceCertify  = "Rohlmann et al., «Breaking the Specification: PDF Certification», S&P 2021; ISO 32000-2, 12.8.2.2"
	SourceOutside  = "ISO 19005-1, 6.1.7"
	SourceLimits   = "Rúbrica, límites del inspector"
)

// DocumentRulesTable is the closed list of findings with the verdict that holds
// where a deployment says nothing else. What can show something else to another
// person or at another time is refused; what is common in honest documents and
// only might is told; the rest is allowed.
func DocumentRulesTable() []DocumentRule {
	return []DocumentRule{
		{FindingXFADynamic, VerdictRefuse, SourceXFA},
		// Most such forms show the same without XFA, which PDF 2.0 has dropped.
		{FindingXFA, VerdictWarn, SourceXFA},
		{FindingJavaScriptOpen, VerdictRefuse, SourceActions},
		// Forms that add up and check what is typed are ordinary.
		{FindingJavaScriptForm, VerdictWarn, SourceActions},
		{FindingActionOpen, VerdictRefuse, SourceTriggers},
		{FindingActionLaunch, VerdictRefuse, SourceActions},
		{FindingActionSubmit, VerdictWarn, SourceActions},
		{FindingActionImport, VerdictRefuse, SourceActions},
		{FindingActionHide, VerdictWarn, SourceActions},
		{FindingActionURI, VerdictRefuse, SourceActions},
		{FindingActionOther, VerdictWarn, SourceActions},
		{FindingMedia, VerdictRefuse, SourceActions},
		{FindingCollection, VerdictRefuse, "ISO 32000-2, 12.3.5"},
		// PDF/A-3 invoices carry their data so; the signature covers them.
		{FindingAttachments, VerdictAllow, "ISO 19005-3, 6.8"},
		{FindingExternalContent, VerdictRefuse, SourceOutside},
		{FindingAlternateContent, VerdictRefuse, "ISO 19005-1, 6.2.4"},
		{FindingLayers, VerdictAllow, SourceLayers},
		// Drawings and multilingual documents have them; nobody sees them by chance.
		{FindingLayersHidden, VerdictWarn, SourceLayers},
		{FindingLayersAutomatic, VerdictRefuse, SourceLayers},
		{FindingLayersAlternate, VerdictWarn, SourceLayers},
		{FindingHybrid, VerdictAllow, "ISO 32000-2, 7.5.8.4"},
		{FindingHybridDiffers, VerdictRefuse, "ISO 32000-2, 7.5.8.4"},
		{FindingObjectsDuplicate, VerdictRefuse, SourceSpoofing},
		// Leftovers of producers, mostly. Those that a repair would bring up are duplicates.
		{FindingObjectsUnlisted, VerdictWarn, SourceShadow},
		{FindingObjectsSpare, VerdictWarn, SourceShadow},
		{FindingFieldDiffers, VerdictRefuse, SourceForms},
		{FindingFieldUndrawn, VerdictWarn, SourceForms},
		{FindingFieldFormatted, VerdictWarn, SourceForms},
		{FindingNeedAppearances, VerdictWarn, SourceForms},
		{FindingAnnotationCovers, VerdictWarn, SourceCertify},
		{FindingAnnotationHidden, VerdictWarn, "ISO 19005-1, 6.5.3"},
		{FindingRedactionPending, VerdictRefuse, "ISO 32000-2, 12.5.6.23"},
		{FindingSignatureInvisible, VerdictAllow, "ISO 32000-2, 12.7.5.5"},
		{FindingSignatureOffPage, VerdictWarn, SourceCertify},
		{FindingSignatureMalformed, VerdictRefuse, SourceSpoofing},
		{FindingSignatureBroken, VerdictRefuse, SourceCertify},
		{FindingSignatureExtended, VerdictWarn, SourceCertify},
		{FindingUsageRights, VerdictWarn, "ISO 32000-1, 12.8.2.3"},
		{FindingPlaceholder, VerdictRefuse, SourceSpoofing},
		{FindingRevisionsChanged, VerdictWarn, SourceShadow},
		{FindingRevisions, VerdictAllow, "ISO 32000-2, 7.5.6"},
		{FindingInflation, VerdictRefuse, SourceLimits},
		{FindingIncomplete, VerdictRefuse, SourceLimits},
		{FindingUnreadable, VerdictWarn, SourceLimits},
	}
}

// DocumentRules say what to do about each kind of finding. One that they do not
// name is refused.
type DocumentRules map[FindingCode]Verdict

// DefaultDocumentRules are those of DocumentRulesTable.
func DefaultDocumentRules() DocumentRules {
	rules := DocumentRules{}
	for _, rule := range DocumentRulesTable() {
		rules[rule.Code] = rule.Verdict
	}
	return rules
}

// ErrDocumentRule means that a deployment's rules name an unknown finding or
// verdict: a misspelt exception must not pass for one that holds.
var ErrDocumentRule = errors.New("unknown rule on documents")

// With gives the rules with a deployment's exceptions.
func (r DocumentRules) With(exceptions map[string]string) (DocumentRules, error) {
	changed := maps.Clone(r)
	for _, code := range slices.Sorted(maps.Keys(exceptions)) {
		if _, known := r[FindingCode(code)]; !known {
			return nil, fmt.Errorf("%w: finding %q", ErrDocumentRule, code)
		}
		switch verdict := Verdict(exceptions[code]); verdict {
		case VerdictRefuse, VerdictWarn, VerdictAllow:
			changed[FindingCode(code)] = verdict
		default:
			return nil, fmt.Errorf("%w: verdict %q on %q", ErrDocumentRule, verdict, code)
		}
	}
	return changed, nil
}

// Verdict on one kind of finding.
func (r DocumentRules) Verdict(code FindingCode) Verdict {
	if verdict, known := r[code]; known {
		return verdict
	}
	return VerdictRefuse
}

// JudgeDocument says whether a document with these findings is signed, and of
// what the citizen is told before. The refusal names the first finding that
// stands against it as its reason, and all others beside it.
func JudgeDocument(findings []Finding, rules DocumentRules) (warnings []Finding, refusal *Refusal) {
	var against []Finding
	for _, finding := range findings {
		switch rules.Verdict(finding.Code) {
		case VerdictAllow:
		case VerdictWarn:
			warnings = append(warnings, finding)
		case VerdictRefuse:
			against = append(against, finding)
		default:
			against = append(against, finding)
		}
	}
	if len(against) == 0 {
		return warnings, nil
	}
	return warnings, refuseDocument(against)
}

func refuseDocument(against []Finding) *Refusal {
	first := against[0]
	refusal := Refuse(DocumentUnsafe, "reason", string(first.Code)).From(sourceOf(first.Code))
	if first.Where != "" {
		refusal.Params["where"] = first.Where
	}
	var others []string
	for _, finding := range against[1:] {
		if code := string(finding.Code); finding.Code != first.Code && !slices.Contains(others, code) {
			others = append(others, code)
		}
	}
	if len(others) > 0 {
		refusal.Params["others"] = strings.Join(others, ",")
	}
	return refusal
}

func sourceOf(code FindingCode) string {
	for _, rule := range DocumentRulesTable() {
		if rule.Code == code {
			return rule.Source
		}
	}
	return SourceLimits
}
