//! Which zone of the tz database each Windows zone stands for. Facts from Unicode CLDR (`windowsZones`): the first
//! name is the one that stands for the zone worldwide, the others are zones of single territories.

/// The tz name that stands for a Windows zone.
pub(super) fn to_iana(windows: &str) -> Option<&'static str> {
    let index = ZONES.binary_search_by(|(name, _)| name.cmp(&windows)).ok()?;
    ZONES[index].1.split(' ').next()
}

/// The Windows zone that a tz zone belongs to.
pub(super) fn from_iana(iana: &str) -> Option<&'static str> {
    ZONES.iter().find(|(_, names)| names.split(' ').any(|name| name == iana)).map(|(name, _)| *name)
}

/// All Windows zones, sorted.
pub(super) fn all() -> impl Iterator<Item = &'static str> {
    ZONES.iter().map(|(name, _)| *name)
}

#[rustfmt::skip]
const ZONES: &[(&str, &str)] = &[
    ("AUS Central Standard Time", "Australia/Darwin Australia/North"),
    ("AUS Eastern Standard Time", "Australia/Sydney Australia/Melbourne Australia/ACT Australia/Canberra Australia/NSW Australia/Victoria"),
    ("Afghanistan Standard Time", "Asia/Kabul"),
    ("Alaskan Standard Time", "America/Anchorage America/Juneau America/Metlakatla America/Nome America/Sitka America/Yakutat US/Alaska"),
    ("Aleutian Standard Time", "America/Adak America/Atka"),
    ("Altai Standard Time", "Asia/Barnaul"),
    ("Arab Standard Time", "Asia/Riyadh Asia/Bahrain Asia/Kuwait Asia/Qatar Asia/Aden"),
    ("Arabian Standard Time", "Asia/Dubai Asia/Muscat Etc/GMT-4"),
    ("Arabic Standard Time", "Asia/Baghdad"),
    ("Argentina Standard Time", "America/Buenos_Aires America/Argentina/Buenos_Aires America/Argentina/La_Rioja America/Argentina/Rio_Gallegos America/Argentina/Salta America/Argentina/San_Juan America/Argentina/San_Luis America/Argentina/Tucuman America/Argentina/Ushuaia America/Catamarca America/Cordoba America/Jujuy America/Mendoza America/Argentina/Catamarca America/Argentina/Cordoba America/Argentina/Jujuy America/Argentina/Mendoza"),
    ("Astrakhan Standard Time", "Europe/Astrakhan Europe/Ulyanovsk"),
    ("Atlantic Standard Time", "America/Halifax Atlantic/Bermuda America/Glace_Bay America/Goose_Bay America/Moncton America/Thule Canada/Atlantic"),
    ("Aus Central W. Standard Time", "Australia/Eucla"),
    ("Azerbaijan Standard Time", "Asia/Baku"),
    ("Azores Standard Time", "Atlantic/Azores America/Scoresbysund"),
    ("Bahia Standard Time", "America/Bahia"),
    ("Bangladesh Standard Time", "Asia/Dhaka Asia/Thimphu"),
    ("Belarus Standard Time", "Europe/Minsk"),
    ("Bougainville Standard Time", "Pacific/Bougainville"),
    ("Canada Central Standard Time", "America/Regina America/Swift_Current Canada/Saskatchewan"),
    ("Cape Verde Standard Time", "Atlantic/Cape_Verde Etc/GMT+1"),
    ("Caucasus Standard Time", "Asia/Yerevan"),
    ("Cen. Australia Standard Time", "Australia/Adelaide Australia/Broken_Hill Australia/South"),
    ("Central America Standard Time", "America/Guatemala America/Belize America/Costa_Rica Pacific/Galapagos America/Tegucigalpa America/Managua America/El_Salvador Etc/GMT+6"),
    ("Central Asia Standard Time", "Asia/Bishkek Antarctica/Vostok Asia/Urumqi Indian/Chagos Asia/Almaty Asia/Qostanay Etc/GMT-6"),
    ("Central Brazilian Standard Time", "America/Cuiaba America/Campo_Grande"),
    ("Central Europe Standard Time", "Europe/Budapest Europe/Tirane Europe/Prague Europe/Podgorica Europe/Belgrade Europe/Ljubljana Europe/Bratislava"),
    ("Central European Standard Time", "Europe/Warsaw Europe/Sarajevo Europe/Zagreb Europe/Skopje Poland"),
    ("Central Pacific Standard Time", "Pacific/Guadalcanal Antarctica/Macquarie Pacific/Ponape Pacific/Pohnpei Pacific/Kosrae Pacific/Noumea Pacific/Efate Etc/GMT-11"),
    ("Central Standard Time", "America/Chicago America/Winnipeg America/Rainy_River America/Rankin_Inlet America/Resolute America/Matamoros America/Ojinaga America/Indiana/Knox America/Indiana/Tell_City America/Menominee America/North_Dakota/Beulah America/North_Dakota/Center America/North_Dakota/New_Salem CST6CDT US/Central Canada/Central"),
    ("Central Standard Time (Mexico)", "America/Mexico_City America/Bahia_Banderas America/Merida America/Monterrey America/Chihuahua Mexico/General"),
    ("Chatham Islands Standard Time", "Pacific/Chatham"),
    ("China Standard Time", "Asia/Shanghai Asia/Hong_Kong Asia/Macau Asia/Chongqing Asia/Harbin PRC Hongkong"),
    ("Cuba Standard Time", "America/Havana Cuba"),
    ("Dateline Standard Time", "Etc/GMT+12"),
    ("E. Africa Standard Time", "Africa/Nairobi Antarctica/Syowa Africa/Djibouti Africa/Asmera Africa/Asmara Africa/Addis_Ababa Indian/Comoro Indian/Antananarivo Africa/Mogadishu Africa/Dar_es_Salaam Africa/Kampala Indian/Mayotte Etc/GMT-3"),
    ("E. Australia Standard Time", "Australia/Brisbane Australia/Lindeman Australia/Queensland"),
    ("E. Europe Standard Time", "Europe/Chisinau"),
    ("E. South America Standard Time", "America/Sao_Paulo Brazil/East"),
    ("Easter Island Standard Time", "Pacific/Easter Chile/EasterIsland"),
    ("Eastern Standard Time", "America/New_York America/Nassau America/Toronto America/Iqaluit America/Montreal America/Nipigon America/Pangnirtung America/Thunder_Bay America/Detroit America/Indiana/Petersburg America/Indiana/Vincennes America/Indiana/Winamac America/Kentucky/Monticello America/Louisville America/Kentucky/Louisville EST5EDT US/Eastern US/Michigan Canada/Eastern"),
    ("Eastern Standard Time (Mexico)", "America/Cancun"),
    ("Egypt Standard Time", "Africa/Cairo Egypt"),
    ("Ekaterinburg Standard Time", "Asia/Yekaterinburg"),
    ("FLE Standard Time", "Europe/Kiev Europe/Kyiv Europe/Mariehamn Europe/Sofia Europe/Tallinn Europe/Helsinki Europe/Vilnius Europe/Riga Europe/Uzhgorod Europe/Zaporozhye"),
    ("Fiji Standard Time", "Pacific/Fiji"),
    ("GMT Standard Time", "Europe/London Atlantic/Canary Atlantic/Faeroe Atlantic/Faroe Europe/Guernsey Europe/Dublin Europe/Isle_of_Man Europe/Jersey Europe/Lisbon Atlantic/Madeira Europe/Belfast GB Eire Portugal WET"),
    ("GTB Standard Time", "Europe/Bucharest Asia/Nicosia Asia/Famagusta Europe/Nicosia Europe/Athens EET"),
    ("Georgian Standard Time", "Asia/Tbilisi"),
    ("Greenland Standard Time", "America/Godthab America/Nuuk"),
    ("Greenwich Standard Time", "Atlantic/Reykjavik Africa/Ouagadougou Africa/Abidjan Africa/Accra America/Danmarkshavn Africa/Banjul Africa/Conakry Africa/Bissau Africa/Monrovia Africa/Bamako Africa/Nouakchott Atlantic/St_Helena Africa/Freetown Africa/Dakar Africa/Lome Iceland"),
    ("Haiti Standard Time", "America/Port-au-Prince"),
    ("Hawaiian Standard Time", "Pacific/Honolulu Pacific/Rarotonga Pacific/Tahiti Pacific/Johnston US/Hawaii HST Etc/GMT+10"),
    ("India Standard Time", "Asia/Calcutta Asia/Kolkata"),
    ("Iran Standard Time", "Asia/Tehran Iran"),
    ("Israel Standard Time", "Asia/Jerusalem Asia/Tel_Aviv Israel"),
    ("Jordan Standard Time", "Asia/Amman"),
    ("Kaliningrad Standard Time", "Europe/Kaliningrad"),
    ("Korea Standard Time", "Asia/Seoul ROK"),
    ("Libya Standard Time", "Africa/Tripoli Libya"),
    ("Line Islands Standard Time", "Pacific/Kiritimati Etc/GMT-14"),
    ("Lord Howe Standard Time", "Australia/Lord_Howe"),
    ("Magadan Standard Time", "Asia/Magadan"),
    ("Magallanes Standard Time", "America/Punta_Arenas America/Coyhaique"),
    ("Marquesas Standard Time", "Pacific/Marquesas"),
    ("Mauritius Standard Time", "Indian/Mauritius Indian/Reunion Indian/Mahe"),
    ("Middle East Standard Time", "Asia/Beirut"),
    ("Montevideo Standard Time", "America/Montevideo"),
    ("Morocco Standard Time", "Africa/Casablanca Africa/El_Aaiun"),
    ("Mountain Standard Time", "America/Denver America/Edmonton America/Cambridge_Bay America/Inuvik America/Yellowknife America/Ciudad_Juarez America/Boise MST7MDT US/Mountain Canada/Mountain"),
    ("Mountain Standard Time (Mexico)", "America/Mazatlan"),
    ("Myanmar Standard Time", "Asia/Rangoon Asia/Yangon Indian/Cocos"),
    ("N. Central Asia Standard Time", "Asia/Novosibirsk"),
    ("Namibia Standard Time", "Africa/Windhoek"),
    ("Nepal Standard Time", "Asia/Katmandu Asia/Kathmandu"),
    ("New Zealand Standard Time", "Pacific/Auckland Antarctica/McMurdo NZ"),
    ("Newfoundland Standard Time", "America/St_Johns Canada/Newfoundland"),
    ("Norfolk Standard Time", "Pacific/Norfolk"),
    ("North Asia East Standard Time", "Asia/Irkutsk"),
    ("North Asia Standard Time", "Asia/Krasnoyarsk Asia/Novokuznetsk"),
    ("North Korea Standard Time", "Asia/Pyongyang"),
    ("Omsk Standard Time", "Asia/Omsk"),
    ("Pacific SA Standard Time", "America/Santiago Chile/Continental"),
    ("Pacific Standard Time", "America/Los_Angeles America/Vancouver PST8PDT US/Pacific Canada/Pacific"),
    ("Pacific Standard Time (Mexico)", "America/Tijuana America/Santa_Isabel America/Ensenada"),
    ("Pakistan Standard Time", "Asia/Karachi"),
    ("Paraguay Standard Time", "America/Asuncion"),
    ("Qyzylorda Standard Time", "Asia/Qyzylorda"),
    ("Romance Standard Time", "Europe/Paris Europe/Brussels Europe/Copenhagen Europe/Madrid Africa/Ceuta CET MET"),
    ("Russia Time Zone 10", "Asia/Srednekolymsk"),
    ("Russia Time Zone 11", "Asia/Kamchatka Asia/Anadyr"),
    ("Russia Time Zone 3", "Europe/Samara"),
    ("Russian Standard Time", "Europe/Moscow Europe/Kirov Europe/Simferopol W-SU"),
    ("SA Eastern Standard Time", "America/Cayenne Antarctica/Rothera Antarctica/Palmer America/Fortaleza America/Belem America/Maceio America/Recife America/Santarem Atlantic/Stanley America/Paramaribo Etc/GMT+3"),
    ("SA Pacific Standard Time", "America/Bogota America/Rio_Branco America/Eirunepe America/Coral_Harbour America/Atikokan America/Guayaquil America/Jamaica America/Cayman America/Panama America/Lima EST Jamaica Etc/GMT+5"),
    ("SA Western Standard Time", "America/La_Paz America/Antigua America/Anguilla America/Aruba America/Barbados America/St_Barthelemy America/Kralendijk America/Manaus America/Boa_Vista America/Porto_Velho America/Blanc-Sablon America/Curacao America/Dominica America/Santo_Domingo America/Grenada America/Guadeloupe America/Guyana America/St_Kitts America/St_Lucia America/Marigot America/Martinique America/Montserrat America/Puerto_Rico America/Lower_Princes America/Port_of_Spain America/St_Vincent America/Tortola America/St_Thomas Etc/GMT+4"),
    ("SE Asia Standard Time", "Asia/Bangkok Antarctica/Davis Indian/Christmas Asia/Jakarta Asia/Pontianak Asia/Phnom_Penh Asia/Vientiane Asia/Saigon Asia/Ho_Chi_Minh Etc/GMT-7"),
    ("Saint Pierre Standard Time", "America/Miquelon"),
    ("Sakhalin Standard Time", "Asia/Sakhalin"),
    ("Samoa Standard Time", "Pacific/Apia"),
    ("Sao Tome Standard Time", "Africa/Sao_Tome"),
    ("Saratov Standard Time", "Europe/Saratov"),
    ("Singapore Standard Time", "Asia/Singapore Asia/Brunei Asia/Makassar Asia/Kuala_Lumpur Asia/Kuching Asia/Manila Singapore Etc/GMT-8"),
    ("South Africa Standard Time", "Africa/Johannesburg Africa/Bujumbura Africa/Gaborone Africa/Lubumbashi Africa/Maseru Africa/Blantyre Africa/Maputo Africa/Kigali Africa/Mbabane Africa/Lusaka Africa/Harare Etc/GMT-2"),
    ("South Sudan Standard Time", "Africa/Juba"),
    ("Sri Lanka Standard Time", "Asia/Colombo"),
    ("Sudan Standard Time", "Africa/Khartoum"),
    ("Syria Standard Time", "Asia/Damascus"),
    ("Taipei Standard Time", "Asia/Taipei ROC"),
    ("Tasmania Standard Time", "Australia/Hobart Australia/Currie Australia/Tasmania"),
    ("Tocantins Standard Time", "America/Araguaina"),
    ("Tokyo Standard Time", "Asia/Tokyo Asia/Jayapura Pacific/Palau Asia/Dili Japan Etc/GMT-9"),
    ("Tomsk Standard Time", "Asia/Tomsk"),
    ("Tonga Standard Time", "Pacific/Tongatapu"),
    ("Transbaikal Standard Time", "Asia/Chita"),
    ("Turkey Standard Time", "Europe/Istanbul Turkey"),
    ("Turks And Caicos Standard Time", "America/Grand_Turk"),
    ("US Eastern Standard Time", "America/Indianapolis America/Indiana/Indianapolis America/Indiana/Marengo America/Indiana/Vevay US/East-Indiana"),
    ("US Mountain Standard Time", "America/Phoenix America/Creston America/Dawson_Creek America/Fort_Nelson America/Hermosillo US/Arizona MST Etc/GMT+7"),
    ("UTC", "Etc/UTC Etc/GMT Etc/UCT Etc/Zulu Etc/Universal Etc/Greenwich UTC UCT GMT Zulu Universal Greenwich"),
    ("UTC+12", "Etc/GMT-12 Pacific/Tarawa Pacific/Majuro Pacific/Kwajalein Pacific/Nauru Pacific/Funafuti Pacific/Wake Pacific/Wallis"),
    ("UTC+13", "Etc/GMT-13 Pacific/Enderbury Pacific/Kanton Pacific/Fakaofo"),
    ("UTC-02", "Etc/GMT+2 America/Noronha Atlantic/South_Georgia"),
    ("UTC-08", "Etc/GMT+8 Pacific/Pitcairn"),
    ("UTC-09", "Etc/GMT+9 Pacific/Gambier"),
    ("UTC-11", "Etc/GMT+11 Pacific/Pago_Pago Pacific/Niue Pacific/Midway US/Samoa"),
    ("Ulaanbaatar Standard Time", "Asia/Ulaanbaatar Asia/Choibalsan"),
    ("Venezuela Standard Time", "America/Caracas"),
    ("Vladivostok Standard Time", "Asia/Vladivostok Asia/Ust-Nera"),
    ("Volgograd Standard Time", "Europe/Volgograd"),
    ("W. Australia Standard Time", "Australia/Perth Australia/West"),
    ("W. Central Africa Standard Time", "Africa/Lagos Africa/Luanda Africa/Porto-Novo Africa/Kinshasa Africa/Bangui Africa/Brazzaville Africa/Douala Africa/Algiers Africa/Libreville Africa/Malabo Africa/Niamey Africa/Ndjamena Africa/Tunis Etc/GMT-1"),
    ("W. Europe Standard Time", "Europe/Berlin Europe/Andorra Europe/Vienna Europe/Zurich Europe/Busingen Europe/Gibraltar Europe/Rome Europe/Vaduz Europe/Luxembourg Europe/Monaco Europe/Malta Europe/Amsterdam Europe/Oslo Europe/Stockholm Arctic/Longyearbyen Europe/San_Marino Europe/Vatican"),
    ("W. Mongolia Standard Time", "Asia/Hovd"),
    ("West Asia Standard Time", "Asia/Tashkent Antarctica/Mawson Asia/Oral Asia/Aqtau Asia/Aqtobe Asia/Atyrau Indian/Maldives Indian/Kerguelen Asia/Dushanbe Asia/Ashgabat Asia/Samarkand Etc/GMT-5"),
    ("West Bank Standard Time", "Asia/Hebron Asia/Gaza"),
    ("West Pacific Standard Time", "Pacific/Port_Moresby Antarctica/DumontDUrville Pacific/Truk Pacific/Chuuk Pacific/Guam Pacific/Saipan Etc/GMT-10"),
    ("Yakutsk Standard Time", "Asia/Yakutsk Asia/Khandyga"),
    ("Yukon Standard Time", "America/Whitehorse America/Dawson"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_each_tz_name_once() {
        assert!(ZONES.is_sorted_by(|a, b| a.0 < b.0));
        let mut names: Vec<_> = ZONES.iter().flat_map(|(_, names)| names.split(' ')).collect();
        let all = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
